"""The tables of a report, for notebooks and for export."""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from asr_gate.audit.gate.read import NoVerdict, check_tables, read_report
from asr_gate.audit.records.finding import Finding
from asr_gate.audit.records.report import REPORT_FILE, Decision, Report
from asr_gate.corpus.errors import UserError
from asr_gate.corpus.files import MEGABYTE, RECORD_LIMIT, read_regular

if TYPE_CHECKING:
    import pandas

TABLES = ("utterances", "words", "gaps", "findings")
FORMATS = ("csv", "parquet", "json")
LARGEST = 4 * RECORD_LIMIT
"""Most bytes of a table in memory."""


@dataclass(frozen=True)
class AuditReport:
    """A verified report and its tables.

    Example:
        >>> report = asr_gate.load_report("reports/phase0")
        >>> report.decision
        'PROCEED'
        >>> report.utterances.sort_values("quality").head(20)
    """

    path: Path
    """The file `alignment_report.json`."""
    content: Report
    """Everything that the file holds, as typed fields."""

    @property
    def decision(self) -> Decision:
        """PROCEED, CAUTION, STOP or NO_VERDICT."""
        return self.content.decision

    @property
    def reasons(self) -> list[str]:
        """Why the decision is what it is."""
        return self.content.reasons

    @cached_property
    def utterances(self) -> pandas.DataFrame:
        """One row an audited utterance; `quality` ranks them, lower is worse."""
        return self._read("utterances")

    @cached_property
    def words(self) -> pandas.DataFrame:
        """One row a word, with times in seconds from the utterance's start."""
        return self._read("words")

    @cached_property
    def gaps(self) -> pandas.DataFrame:
        """The stretches before, between and after words, in seconds from the utterance's start."""
        return self._read("gaps")

    @cached_property
    def findings(self) -> pandas.DataFrame:
        """One row a finding: what a rule found in which utterance."""
        import pandas

        rows = [finding.model_dump() for finding in self.content.findings]
        frame = pandas.DataFrame(rows, columns=list(Finding.model_fields))
        # With no time in any row the columns would hold objects.
        return frame.astype({"start": "float64", "end": "float64", "counts": "bool"})

    def table(self, name: str) -> pandas.DataFrame:
        """A table by its name: utterances, words, gaps or findings.

        Raises:
            UserError: there is no such table.
            NoVerdict: its file is missing or was altered.
        """
        if name not in TABLES:
            raise UserError(f"{name}: no such table; there are {', '.join(TABLES)}")
        frame: pandas.DataFrame = getattr(self, name)
        return frame

    def _read(self, name: str) -> pandas.DataFrame:
        import pyarrow as pa

        path = self.path.parent / f"{name}.parquet"
        digest = self.content.tables.get(path.name)
        try:
            stored = read_regular(path, RECORD_LIMIT)
        except OSError as error:
            raise NoVerdict(
                f"{path}: cannot be read beside its report ({error.strerror}); audit again"
            ) from error
        # Hashed here again: what is read is what was checked.
        if digest != f"sha256:{hashlib.sha256(stored).hexdigest()}":
            raise NoVerdict(f"{path}: altered since the report was written; audit again")
        try:
            return _frame(stored, name)
        except (pa.ArrowException, OSError, ValueError) as error:
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise NoVerdict(f"{path}: not a table of a report ({reason}); audit again") from error


def _frame(stored: bytes, name: str) -> pandas.DataFrame:
    """A table from the bytes of its file, which may be anybody's.

    Raises:
        pa.ArrowException, OSError, ValueError: it is damaged, has other columns than we write, or
            holds more than any report does.
    """
    import pyarrow as pa
    import pyarrow.parquet

    from asr_gate.audit.report.schemas import SCHEMAS

    expected = SCHEMAS[name]
    file = pyarrow.parquet.ParquetFile(io.BytesIO(stored))
    seen = set()
    for column in file.schema_arrow:
        known = column.name in expected.names and column.name not in seen
        if not known or column.type != expected.field(column.name).type:
            raise ValueError(f"the column {column.name[:40]!r} ({column.type}) is none of ours")
        seen.add(column.name)
    batches, size = [], 0
    # A small file can hold much, and may lie about how much.
    for batch in file.iter_batches(1000):
        size += batch.nbytes
        if size > LARGEST:
            raise ValueError(f"more than {LARGEST // MEGABYTE} MB of data")
        batches.append(batch)
    table = pa.Table.from_batches(batches, file.schema_arrow)
    table.validate(full=True)
    # Pandas' own notes in the file say how to build an index; we write none.
    frame: pandas.DataFrame = table.to_pandas(ignore_metadata=True)
    return frame


def load(path: Path) -> AuditReport:
    """Read a report and check it and its tables against their digests.

    Args:
        path: `alignment_report.json`, or the folder of the audit.

    Raises:
        NoVerdict: the report is missing or not one, or it or a table was altered.
    """
    content = read_report(path)
    file = path / REPORT_FILE if path.is_dir() else path
    check_tables(content, file.parent)
    return AuditReport(file, content)


def export(frame: pandas.DataFrame, kind: str) -> bytes:
    """A table as a file's content; text is UTF-8.

    Args:
        frame: one of `AuditReport`'s tables.
        kind: one of `FORMATS`. CSV has no lists: rules stand in one cell, with spaces between.
    """
    if kind == "parquet":
        return bytes(frame.to_parquet(index=False))
    if kind == "json":
        text: str = frame.to_json(orient="records", force_ascii=False, double_precision=15)
        return text.encode() + b"\n"
    if "rules" in frame:
        frame = frame.assign(rules=[" ".join(codes) for codes in frame["rules"]])
    table: str = frame.to_csv(index=False, lineterminator="\n")
    return table.encode()
