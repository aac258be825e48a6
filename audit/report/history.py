"""Earlier reports of one name: each new audit moves the last one aside, and none is lost.

`FOLDER/history/20260102T030405Z/` holds an earlier report with its tables, pages, signature and
note of W&B. It is one folder deeper than where the newest report is looked for, so it is never
taken for it.
"""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path

from asr_gate.audit.records.report import (
    AUDITED_FILE,
    AUDITED_SIGNATURE_FILE,
    LINK_FILE,
    REPORT_FILE,
    SIGNATURE_FILE,
)

HISTORY = "history"

BESIDE = (
    LINK_FILE,
    SIGNATURE_FILE,
    AUDITED_FILE,
    AUDITED_SIGNATURE_FILE,
    "review.jsonl",
    "utterances.parquet",
    "words.parquet",
    "gaps.parquet",
    "heard.parquet",
    "rows.jsonl",
    "findings.sarif",
    "junit.xml",
    "clean.jsonl",
    "report.md",
    "report.html",
    "report_files",
    "tensorboard",
)
"""What an audit writes beside its report; other files of the folder are not ours to move."""


def keep_earlier(folder: Path) -> Path | None:
    """Move the report of a folder, and what belongs to it, into the folder's history.

    The report itself goes last, and is a copy: the folder holds a report at any time, and an audit
    that is killed meanwhile loses none.

    Args:
        folder: of an audit that is about to write its report.

    Returns:
        Where it is now; None: there was no report.
    """
    report = folder / REPORT_FILE
    if not report.is_file():
        for stale in (LINK_FILE, SIGNATURE_FILE):  # they are of a report that is gone
            (folder / stale).unlink(missing_ok=True)
        return None
    kept = _new_folder(folder / HISTORY, report.stat().st_mtime)
    for name in BESIDE:
        if (folder / name).exists():
            (folder / name).replace(kept / name)
    shutil.copy2(report, kept / REPORT_FILE)
    return kept


def earlier_reports(folder: Path) -> list[Path]:
    """The earlier reports of an audit's folder, the oldest first."""
    return sorted((folder / HISTORY).glob(f"*/{REPORT_FILE}"))


def _new_folder(history: Path, written: float) -> Path:
    """A new folder, named after the time when the report was written."""
    name = datetime.fromtimestamp(written, UTC).strftime("%Y%m%dT%H%M%SZ")
    number = 1
    while True:
        folder = history / (name if number == 1 else f"{name}-{number}")
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            number += 1
            continue
        return folder
