"""A small audit on disk, with its tables: twenty rows of tones, some of them flagged."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import soundfile

from asr_gate.audit.report.schemas import SCHEMAS
from tests.audit.report.reports import finding, report_about, sound

ROWS = 20
FLAGGED = ("u00", "u01", "u02", "u03")
RATE = 16000


def write_audit(folder: Path, *, flagged: Sequence[str] = FLAGGED, **changes: Any) -> Path:
    """A corpus in `folder` and its audit in `folder/reports/phase0`, whose path is returned."""
    ids = [f"u{number:02d}" for number in range(ROWS)]
    lines = []
    for number, identity in enumerate(ids):
        tone = 0.3 * np.sin(np.arange(RATE // 2) * (0.05 + 0.01 * number))
        soundfile.write(folder / f"{identity}.wav", tone, RATE)
        row = {"id": identity, "audio_filepath": f"{identity}.wav", "text": f"word {number}"}
        lines.append(json.dumps({**row, "domain": "d"}) + "\n")
    manifest = folder / "train.jsonl"
    manifest.write_text("".join(lines))
    out = folder / "reports" / "phase0"
    out.mkdir(parents=True)
    digests = {}
    for name, schema in SCHEMAS.items():
        rows = [_row(identity) for identity in ids] if name == "utterances" else []
        path = out / f"{name}.parquet"
        pyarrow.parquet.write_table(pa.Table.from_pylist(rows, schema), path)
        digests[path.name] = f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"
    statistics = {"d": sound().domain_statistics["d"].model_copy(update={"count": ROWS})}
    found = [finding(identity, "A001") for identity in flagged]
    told = {"tables": digests, "domain_statistics": statistics, **changes}
    return report_about(manifest, out, *found, **told)


def _row(identity: str) -> dict[str, Any]:
    number = int(identity[1:])
    return {
        "id": identity,
        "domain": "d",
        "duration": 0.5,
        "text": f"word {number}",
        "coverage": 0.9,
        "confidence": 0.9,
        "quality": 0.9,
        "speech_seconds": 0.5,
        "origin": f"train.jsonl:{number + 1}",
        "language": "en",
        "activity": [[0.0, 0.5]],
        "unaligned": [],
    }
