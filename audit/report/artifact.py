"""The W&B artifact of a report: its name, its files, and the note beside the report of where it is.

An audit, `asr report publish` and a training describe it in the same way, so W&B, which compares
contents, keeps one version of one report.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from asr_gate.audit.records.report import LINK_FILE, REPORT_FILE, SIGNATURE_FILE, Report
from asr_gate.corpus.files import write_atomically
from asr_gate.corpus.strict import read_json

ARTIFACT = "phase0-audit-report"
PAGE = "report.md"


@dataclass(frozen=True)
class Logged:
    """Where a report was logged."""

    artifact: str
    """`wandb:ENTITY/PROJECT/NAME:ALIAS`, or `wandb-offline:RUNID/NAME:ALIAS`."""
    content: str = ""
    """W&B's digest of its files; empty: not known."""


def artifact_files(report: Report, folder: Path) -> list[Path]:
    """The files of a report that are there: itself, its page, its tables and its signature."""
    names = (REPORT_FILE, PAGE, *report.tables, SIGNATURE_FILE)
    return [path for name in names if (path := folder / Path(name).name).is_file()]


def artifact_description(report: Report) -> dict[str, Any]:
    """Name, type, aliases and metadata, as `Tracker.log_artifact` takes them."""
    return {
        "name": ARTIFACT,
        "type": "report",
        "aliases": [report.decision.lower()],
        "metadata": {
            "decision": report.decision,
            "digest": report.digest,
            "dataset_fingerprint": report.dataset.fingerprint,
        },
    }


def note_logged(folder: Path, logged: Logged) -> None:
    """Note beside a report where it was logged; the trainer links its run to that."""
    write_atomically(folder / LINK_FILE, json.dumps(asdict(logged)).encode())


def read_logged(folder: Path) -> Logged | None:
    """Where a report was logged; None: nowhere, as far as is noted."""
    try:
        noted = read_json(folder / LINK_FILE)
        return Logged(str(noted["artifact"]), str(noted.get("content", "")))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
