"""The tables of a report, for notebooks and for export."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Sequence
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
    import pyarrow

TABLES = ("utterances", "words", "gaps", "heard", "findings")
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
        return self.arrow("utterances").to_pandas()

    @cached_property
    def words(self) -> pandas.DataFrame:
        """One row a word, with times in seconds from the utterance's start."""
        return self.arrow("words").to_pandas()

    @cached_property
    def gaps(self) -> pandas.DataFrame:
        """The stretches before, between and after words, in seconds from the utterance's start."""
        return self.arrow("gaps").to_pandas()

    @cached_property
    def heard(self) -> pandas.DataFrame:
        """One row a word that the aligner heard by itself, in its own letters, with times."""
        return self.arrow("heard").to_pandas()

    @cached_property
    def findings(self) -> pandas.DataFrame:
        """One row a finding: what a rule found in which utterance."""
        return self.arrow("findings").to_pandas()

    def table(self, name: str) -> pandas.DataFrame:
        """A table by its name: utterances, words, gaps, heard or findings; needs pandas.

        Raises:
            UserError: there is no such table.
            NoVerdict: its file is missing or was altered.
        """
        _require_table(name)
        frame: pandas.DataFrame = getattr(self, name)
        return frame

    def arrow(self, name: str) -> pyarrow.Table:
        """A table by its name; as `table`, without pandas."""
        _require_table(name)
        if name == "findings":
            return _findings(self.content.findings)
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
            return _table(stored, name)
        except (pa.ArrowException, OSError, ValueError) as error:
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise NoVerdict(f"{path}: not a table of a report ({reason}); audit again") from error


def _table(stored: bytes, name: str) -> pyarrow.Table:
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
    # Notes in the file may tell pandas how to build an index; we write none.
    return table.replace_schema_metadata(None)


def _require_table(name: str) -> None:
    if name not in TABLES:
        raise UserError(f"{name}: no such table; there are {', '.join(TABLES)}")


def _findings(findings: Sequence[Finding]) -> pyarrow.Table:
    import pyarrow as pa

    times, marks = dict.fromkeys(("start", "end"), pa.float64()), {"counts": pa.bool_()}
    types = {name: pa.string() for name in Finding.model_fields} | times | marks
    return pa.Table.from_pylist([one.model_dump() for one in findings], schema=pa.schema(types))


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


def export(table: pyarrow.Table, kind: str) -> bytes:
    """A table as a file's content; text is UTF-8.

    Args:
        table: one of `AuditReport`'s.
        kind: one of `FORMATS`. CSV has no lists: rules stand in one cell, with spaces between, and
            spans as `0.25-1.5`.
    """
    if kind == "parquet":
        import pyarrow.parquet

        buffer = io.BytesIO()
        pyarrow.parquet.write_table(table, buffer)
        return buffer.getvalue()
    rows = table.to_pylist()
    if kind == "json":
        return json.dumps(rows, ensure_ascii=False).encode() + b"\n"
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(table.column_names)
    writer.writerows(
        [" ".join(map(_one, cell)) if isinstance(cell, list) else cell for cell in row.values()]
        for row in rows
    )
    return text.getvalue().encode()


def _one(item: str | list[float]) -> str:
    return item if isinstance(item, str) else f"{item[0]:g}-{item[1]:g}"
