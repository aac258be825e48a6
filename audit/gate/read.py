"""Reports in: found, read, and checked against their own digest."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Sequence, Set
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pydantic import ValidationError

from asr_gate.audit.records.report import REPORT_FILE, SCHEMA_VERSION, Report
from asr_gate.corpus.environment import in_ci
from asr_gate.corpus.errors import UserError
from asr_gate.corpus.files import RECORD_LIMIT, open_regular, read_regular
from asr_gate.corpus.storage import url_of
from asr_gate.corpus.strict import parse_json, read_json

AHEAD = timedelta(days=1)
"""How far the clock that dated a report may go before ours."""


class NoVerdict(UserError):
    """There is no verdict to rely on: the report is missing, altered, stale, or for other data."""

    exit_code = 30


def find_latest(reports: Path, data: Sequence[str | Path] = ()) -> Path:
    """The newest report under a folder of audits, of these manifests if there is one of them.

    An audit of something else, however new, must not take the place of one's own.

    Raises:
        NoVerdict: there is none, or this is CI: there, whoever may add a file would choose.
    """
    if url := url_of(reports):
        raise NoVerdict(f"{url}: name the report: in a store, the newest one is not looked for")
    if in_ci():
        raise NoVerdict(
            f"{reports}: name the report: in CI the newest one is not taken, since anybody who "
            "adds a file could choose it"
        )
    wanted = set(map(os.path.abspath, data))
    found = [(*_made(path, wanted), str(path)) for path in reports.glob(f"*/{REPORT_FILE}")]
    if not found:
        raise NoVerdict(f"{reports}: no report here; make one with: asr audit MANIFEST")
    return Path(max(found)[2])


def _made(path: Path, wanted: Set[str]) -> tuple[bool, str]:
    """Whether a report is of these manifests, and when it was made.

    Reports that cannot be read come first, so that others win.
    """
    try:
        report = read_json(path, RECORD_LIMIT)
        created = str(report["created_at"])
        if dated_ahead(created):
            return False, ""
        return same_manifests(report["dataset"]["manifests"], wanted), created
    except (OSError, ValueError, KeyError, TypeError):
        return False, ""


def same_manifests(named: Iterable[str], others: Iterable[str | Path]) -> bool:
    """Whether the same manifests are named, from this folder."""
    return set(map(os.path.abspath, named)) == set(map(os.path.abspath, others))


def age(created_at: str) -> timedelta:
    """How old a report is; negative if its date is in the future.

    Raises:
        ValueError: not a date with a time zone.
    """
    try:
        return datetime.now(UTC) - datetime.fromisoformat(created_at)
    except (TypeError, OverflowError) as error:
        raise ValueError(f"{created_at!r} is not a date with a time zone") from error


def dated_ahead(created_at: str) -> bool:
    """Whether a report says that it was made in the future.

    Raises:
        ValueError: as `age`.
    """
    return age(created_at) < -AHEAD


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
    try:
        stored = read_regular(path, RECORD_LIMIT)
        content = parse_json(stored)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise NoVerdict(f"{path}: no such report; make one with: asr audit MANIFEST") from error
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise NoVerdict(f"{path}: not a report that can be read ({reason}); audit again") from error
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
        try:
            with open_regular(table) as stream:
                found = "sha256:" + hashlib.file_digest(stream, "sha256").hexdigest()
        except FileNotFoundError:
            continue
        except OSError as error:
            raise NoVerdict(f"{table}: cannot be read ({error.strerror}); audit again") from error
        if found != digest:
            raise NoVerdict(f"{table}: altered since the report was written; audit again")
