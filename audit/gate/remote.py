"""A report that lies elsewhere: `wandb:ENTITY/PROJECT/NAME:ALIAS`, or `s3://bucket/reports/NAME`."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from asr_gate.audit.gate.read import NoVerdict
from asr_gate.audit.records.report import (
    LINK_FILE,
    REPORT_FILE,
    ROWS_FILE,
    SIGNATURE_FILE,
)
from asr_gate.corpus import mirror, storage
from asr_gate.corpus.errors import UserError
from asr_gate.corpus.files import RECORD_LIMIT

WANDB = "wandb:"
NEEDED = (REPORT_FILE, SIGNATURE_FILE, ROWS_FILE)
"""What a verdict needs of a report; its other tables stay where they are."""

READ = (
    REPORT_FILE,
    SIGNATURE_FILE,
    LINK_FILE,
    ROWS_FILE,
    "utterances.parquet",
    "words.parquet",
    "gaps.parquet",
    "heard.parquet",
    "report.md",
)
"""What commands read of a report in a store."""


def on_disk(report: str | Path) -> Path:
    """A report, or a copy of one that lies in a store, which stays until the process ends.

    Args:
        report: `alignment_report.json` or the folder of an audit, on disk or by its URL.

    Raises:
        NoVerdict: there is none in the store.
        StorageError: the store cannot be read.
    """
    url = storage.url_of(report)
    if url is None:
        return Path(report)
    folder = mirror.copied(url.removesuffix(f"/{REPORT_FILE}"), READ)
    if not (folder / REPORT_FILE).is_file():
        raise NoVerdict(f"{url}: no such report; make one with: asr audit MANIFEST --out URL")
    return folder


def require_on_disk(report: Path, command: str) -> None:
    """Refuse to write beside a report that lies in a store.

    Raises:
        UserError: it does.
    """
    if url := mirror.url_at(report):
        raise UserError(
            f"{url}: {command} writes beside the report, which it does on disk alone; copy the "
            "folder to disk, and back when you are done"
        )


def written_beside(path: Path) -> None:
    """Put a file that was written beside a copy of a report into its store; others stay.

    Raises:
        StorageError: the store does not take it.
    """
    if url := mirror.url_at(path):
        storage.write(url, path)


@contextmanager
def downloaded(reference: str) -> Iterator[Path]:
    """Download a report with its signature and its rows; it is not verified yet.

    Args:
        reference: `wandb:ENTITY/PROJECT/NAME:ALIAS`.

    Returns:
        The file of the report, in a folder that goes when the block ends.

    Raises:
        NoVerdict: W&B has no such artifact, or it holds no report.
        UserError: not such a reference, or the download failed.
    """
    artifact = reference.removeprefix(WANDB)
    if not re.fullmatch(r"[^/:\s]+/[^/:\s]+/[^/:\s]+:[^/:\s]+", artifact):
        raise UserError(f"{reference}: a report on W&B is named wandb:ENTITY/PROJECT/NAME:ALIAS")
    from asr_gate.tracking import TrackingError
    from asr_gate.tracking.wandb_server import download

    with tempfile.TemporaryDirectory(prefix="asr-report-") as folder:
        try:
            found = download(artifact, Path(folder), NEEDED, RECORD_LIMIT)
        except TrackingError as error:
            raise UserError(
                f"{reference}: cannot be downloaded ({error}), or name a report on disk"
            ) from error
        if not found:
            raise NoVerdict(
                f"{reference}: W&B has no such report; log it with asr report publish, or correct "
                "the name"
            )
        path = Path(folder) / REPORT_FILE
        if not path.is_file():
            raise NoVerdict(f"{reference}: the artifact holds no {REPORT_FILE}; audit again")
        try:
            yield path
        except NoVerdict as error:
            # The folder tells nobody anything, and is gone when the message is read.
            said = str(error).replace(str(path), reference).replace(folder, reference)
            raise type(error)(said) from error
