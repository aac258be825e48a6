"""Reports in: found, read, and checked against their own digest."""

from __future__ import annotations

import hashlib
import json
import os.path
from pathlib import Path

from pydantic import ValidationError

from asr_gate.audit.records.report import REPORT_FILE, SCHEMA_VERSION, Report
from asr_gate.corpus.errors import UserError


class NoVerdict(UserError):
    """There is no verdict to rely on: the report is missing, altered, stale, or for other data."""

    exit_code = 30


def find_latest(reports: Path) -> Path:
    """The newest report under a folder of audits.

    Raises:
        NoVerdict: there is none.
    """
    found = [(_created_at(path), str(path)) for path in reports.glob(f"*/{REPORT_FILE}")]
    if not found:
        raise NoVerdict(f"{reports}: no report here; make one with: asr audit MANIFEST")
    return Path(max(found)[1])


def _created_at(path: Path) -> str:
    """When a report was made; reports that cannot be read come first, so that others win."""
    try:
        return str(json.loads(path.read_text(encoding="utf-8"))["created_at"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return ""


def read_report(path: Path) -> Report:
    """Read a report and check its digest.

    Args:
        path: `alignment_report.json`, or the folder of the audit.

    Raises:
        NoVerdict: missing, not a report, of another schema version, or altered by so much as a
            byte.
    """
    if path.is_dir():
        path = path / REPORT_FILE
    if not os.path.isfile(path):  # noqa: PTH113  (a pipe would never end)
        raise NoVerdict(f"{path}: no such report; make one with: asr audit MANIFEST")
    try:
        stored = path.read_bytes()
        content = json.loads(stored)
    except (OSError, ValueError, RecursionError) as error:
        raise NoVerdict(f"{path}: not a report that can be read ({error}); audit again") from error
    version = content.get("schema_version") if isinstance(content, dict) else None
    if version != SCHEMA_VERSION:
        raise NoVerdict(
            f"{path}: schema version {version!r}, this is {SCHEMA_VERSION!r}; audit again"
        )
    try:
        report = Report.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise NoVerdict(f"{path}: not a report: {where}: {first['msg']}; audit again") from error
    try:
        whole = report.compute_digest() == report.digest and report.compute_seal() == report.seal
        # What is the same value in another spelling is not what was written either.
        whole = whole and report.to_bytes() == stored
    except (ValueError, RecursionError) as error:
        raise NoVerdict(f"{path}: not a report: {error}; audit again") from error
    if not whole:
        raise NoVerdict(f"{path}: altered since it was written (its digest differs); audit again")
    return report


def check_tables(report: Report, folder: Path) -> None:
    """Check the tables that lie beside a report against the digests that it vouches for.

    Raises:
        NoVerdict: one was altered. One that is not there is no fault: the report stands alone.
    """
    for name, digest in report.tables.items():
        table = folder / Path(name).name
        if os.path.isfile(table):  # noqa: PTH113  (a pipe would never end)
            with table.open("rb") as stream:
                found = "sha256:" + hashlib.file_digest(stream, "sha256").hexdigest()
            if found != digest:
                raise NoVerdict(f"{table}: altered since the report was written; audit again")
