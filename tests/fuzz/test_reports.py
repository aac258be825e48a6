"""Damaged reports, signatures, keys and tables; and reports forged with digests made anew."""

from __future__ import annotations

import contextlib
import hashlib
import io
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet
import pytest
from pydantic import ValidationError

from asr_gate.audit.gate import NoVerdict, read_report
from asr_gate.audit.gate.drop import rows_to_drop
from asr_gate.audit.gate.signature import SIGNATURE_FILE, sign, verify
from asr_gate.audit.gate.tables import FORMATS, export, load
from asr_gate.audit.records.report import REPORT_FILE, Report
from asr_gate.audit.report.schemas import UTTERANCES
from asr_gate.audit.review.verdicts import REVIEW_FILE, conflicts, merge, read_verdicts
from asr_gate.cli.gate import command as gate
from asr_gate.corpus.errors import UserError
from asr_gate.corpus.fingerprint import RowDigest, from_lines, to_lines
from asr_gate.corpus.strict import parse_json
from tests.audit.gate.test_binding import write_keys
from tests.audit.report.reports import finding, report_of, write_report
from tests.audit.review.verdicts import verdict
from tests.fuzz.harness import Reader, fuzz

REPORT = report_of(finding(), finding("u2", "A006", start=0.5, end=1.0), domain_controls={"d": {}})
ROWS = [
    {"id": "u1", "duration": 1.0, "coverage": 0.5, "low_quality": True, "rules": ["A001"]},
    {"id": "u2", "duration": 2.5, "text": "\u05e9\u05dc\u05d5\u05dd", "rules": []},
]


def read(folder: Path) -> None:
    read_report(folder)


def read_rows(folder: Path) -> str | None:
    try:
        list(from_lines((folder / "rows.jsonl").read_bytes().splitlines()))
    except ValueError:
        return "refused"
    return None


def run_gate(folder: Path) -> str | None:
    """Whatever a report with the right digests says, the gate writes its files and a code."""
    try:
        report = Report.model_validate(parse_json((folder / "forged.json").read_bytes()))
        content = report.sealed().to_bytes()
    except (ValidationError, ValueError, RecursionError):
        return "no report"
    (folder / REPORT_FILE).write_bytes(content)
    options = ["--sarif", folder / "findings.sarif", "--junit", folder / "gate.xml", "--github"]
    with contextlib.redirect_stdout(io.StringIO()):
        code = gate.main([str(folder), *map(str, options)], standalone_mode=False)
        try:
            code = gate.main([str(folder), "--json"], standalone_mode=False)
        except UserError as error:
            code = error.exit_code
    assert code in (0, 10, 20, 30)
    with contextlib.suppress(NoVerdict):
        rows_to_drop(report.sealed(), "r")
    return None if code == 0 else f"exit code {code}"


def read_review(folder: Path) -> str | None:
    """Verdicts are read and merged, or refused with the line."""
    found = merge([read_verdicts(folder / REVIEW_FILE)])
    conflicts(found)
    return None if found else "no verdicts"


def read_tables(folder: Path) -> str | None:
    """A table with the digest that its report names."""
    digest = hashlib.sha256((folder / "utterances.parquet").read_bytes()).hexdigest()
    write_report(report_of(tables={"utterances.parquet": f"sha256:{digest}"}), folder)
    table = load(folder).arrow("utterances")
    for kind in FORMATS:
        export(table, kind)
    return None


@cache
def signed() -> tuple[bytes, bytes]:
    """A signature of the report, and the public key."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        private, public = write_keys(folder)
        sign(read_report(write_report(REPORT, folder / "r")), folder / "r", private)
        return (folder / "r" / SIGNATURE_FILE).read_bytes(), public.read_bytes()


def check_signature(folder: Path) -> None:
    verify(REPORT, "r", folder, folder / "key.pub")


def table() -> bytes:
    sink = io.BytesIO()
    # Not compressed: damage reaches the values.
    rows = pa.Table.from_pylist(ROWS, UTTERANCES)
    pyarrow.parquet.write_table(rows, sink, compression="none")
    return sink.getvalue()


REVIEW = b"".join(
    one.line()
    for one in (
        verdict("u1", "correct", text="\u05e9\u05dc\u05d5\u05dd", who="Dana", note="n"),
        verdict("u1", "trim", start=0.5, end=1.0, who="Ali", blind=True),
        verdict("u2", "withdrawn"),
    )
)
SOUND = b"".join(to_lines([("u1", RowDigest("a", "b", "c", "d")), ("u2", None)]))
READERS = {
    "report": lambda: Reader("report", {REPORT_FILE: REPORT.to_bytes()}, read, 300),
    "forged": lambda: Reader("forged", {"forged.json": REPORT.to_bytes()}, run_gate, 250),
    "rows": lambda: Reader("rows", {"rows.jsonl": SOUND}, read_rows, 150),
    "signature": lambda: Reader(
        "signature",
        {SIGNATURE_FILE: signed()[0], "key.pub": signed()[1]},
        check_signature,
        250,
    ),
    "review": lambda: Reader("review", {REVIEW_FILE: REVIEW}, read_review, 250),
    "table": lambda: Reader("table", {"utterances.parquet": table()}, read_tables, 200),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", READERS)
def test_damaged_reports_and_what_lies_beside_them(
    name: str, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    ends = fuzz(READERS[name](), tmp_path)
    record_property(f"fuzzed {name}", dict(ends))
    assert ends.total() - ends["read"] > 10
