"""Figures as files: `detection.json` and `curves.csv`."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from asr_gate.audit.detection.figures import Detection
from asr_gate.corpus.files import write_atomically

FIGURES_FILE, CURVES_FILE = "detection.json", "curves.csv"


def write_figures(folder: Path, found: Mapping[str, Detection], about: Mapping[str, Any]) -> None:
    """Write both files.

    Args:
        folder: made if it is not there.
        found: by condition under which the recordings were heard.
        about: what else a reader needs to make the figures again.
    """
    folder.mkdir(parents=True, exist_ok=True)
    conditions = {name: _figures(one) for name, one in found.items()}
    content = json.dumps({**about, "conditions": conditions}, indent=2, ensure_ascii=False)
    write_atomically(folder / FIGURES_FILE, (content + "\n").encode())
    write_atomically(folder / CURVES_FILE, _curves(found).encode())


def _figures(found: Detection) -> dict[str, Any]:
    kinds = {
        name: {"bad": kind.bad, "good": kind.good, **asdict(kind.figures)}
        for name, kind in found.kinds.items()
    }
    content = {"right_rows": found.right, "kinds": kinds, "held_out": asdict(found.held_out)}
    return _rounded(content)  # type: ignore[no-any-return]


def _rounded(part: Any) -> Any:
    if isinstance(part, dict):
        return {name: _rounded(value) for name, value in part.items()}
    return round(part, 6) if isinstance(part, float) else part


def _curves(found: Mapping[str, Detection]) -> str:
    stream = io.StringIO()
    table = csv.writer(stream, lineterminator="\n")
    table.writerow(["condition", "kind", "threshold", "found", "false_alarms", "precision"])
    for condition, one in found.items():
        for name, kind in one.kinds.items():
            c = kind.curve
            for row in zip(c.thresholds, c.found, c.false_alarms, c.precision, strict=True):
                table.writerow([condition, name, *(f"{value:.6g}" for value in row)])
    return stream.getvalue()
