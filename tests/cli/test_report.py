"""`load_report`, `verify`, `asr report export` and `asr report diff`."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pandas
import pytest

import asr_gate
from tests.audit.report.reports import finding, report_of, write_report
from tests.speech import ROOT

Asr = Callable[..., tuple[int, str, str]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(ROOT / "reports" / "example", tmp_path / "phase0"))


def test_tables_are_frames(folder: Path) -> None:
    report = asr_gate.load_report(folder)
    assert report.decision == report.content.decision
    assert len(report.utterances) == report.content.total_samples
    assert set(report.words["id"]) <= set(report.utterances["id"])
    assert {"start", "end", "untranscribed"} <= set(report.gaps.columns)
    assert list(report.findings["code"]) == [one.code for one in report.content.findings]
    assert report.findings["start"].dtype == "float64"
    assert report.words is report.words


def test_no_findings_are_an_empty_frame(tmp_path: Path) -> None:
    write_report(report_of(), tmp_path)
    findings = asr_gate.load_report(tmp_path).findings
    assert len(findings) == 0
    assert {"id", "code", "start"} <= set(findings.columns)


@pytest.mark.parametrize("kind", ["csv", "parquet", "json"])
@pytest.mark.parametrize("table", ["utterances", "words", "gaps", "findings"])
def test_a_table_is_exported(table: str, kind: str, folder: Path, asr: Asr) -> None:
    out = folder.parent / f"out.{kind}"
    assert asr("report", "export", folder, table, "--out", out)[0] == 0
    read = {"csv": pandas.read_csv, "parquet": pandas.read_parquet, "json": pandas.read_json}
    found, expected = read[kind](out), asr_gate.load_report(folder).table(table)
    assert list(found.columns) == list(expected.columns)
    assert list(found["id"]) == list(expected["id"])


def test_text_goes_to_standard_output(folder: Path, asr: Asr) -> None:
    code, out, _ = asr("report", "export", folder, "words")
    assert (code, len(pandas.read_csv(io.StringIO(out)))) == (
        0,
        len(asr_gate.load_report(folder).words),
    )
    code, out, _ = asr("report", "export", folder, "findings", "--format", "json")
    assert (code, json.loads(out)[0]["code"][0].isalpha()) == (0, True)


def test_an_altered_or_missing_table_is_no_verdict(folder: Path, asr: Asr) -> None:
    loaded = asr_gate.load_report(folder)
    words = folder / "words.parquet"
    words.write_bytes(words.read_bytes() + b"x")
    with pytest.raises(asr_gate.NoVerdict):
        _ = loaded.words
    with pytest.raises(asr_gate.NoVerdict):
        asr_gate.load_report(folder)
    assert asr("report", "export", folder, "words")[0] == 30
    words.unlink()
    assert asr("report", "export", folder, "words")[0] == 30
    assert asr("report", "export", folder, "gaps")[0] == 0


@pytest.mark.parametrize("options", [["--format", "parquet"], ["--out", "a.txt"]])
def test_bad_usage(options: list[str], folder: Path, asr: Asr) -> None:
    assert asr("report", "export", folder, "words", *options)[0] == 2


def test_the_report_itself_is_never_overwritten(folder: Path, asr: Asr) -> None:
    for name in ("words.parquet", "alignment_report.json"):
        before = (folder / name).read_bytes()
        assert (
            asr("report", "export", folder, "gaps", "--format", "csv", "--out", folder / name)[0]
            == 2
        )
        assert (folder / name).read_bytes() == before


@pytest.mark.parametrize(("decision", "error"), [("CAUTION", 10), ("STOP", 20), ("NO_VERDICT", 30)])
def test_verify_raises_what_the_gate_exits_with(decision, error: int, tmp_path: Path) -> None:
    write_report(report_of(finding(), decision=decision, reasons=["because"]), tmp_path)
    with pytest.raises(asr_gate.UserError) as raised:
        asr_gate.verify(tmp_path)
    assert raised.value.exit_code == error
    if decision == "CAUTION":
        assert asr_gate.verify(tmp_path, accept_caution=True).decision == "CAUTION"


def test_importing_and_verifying_load_nothing_heavy() -> None:
    script = (
        "import sys, asr_gate; assert len(dir(asr_gate)) > 5; before = set(sys.modules)\n"
        "asr_gate.verify('reports/example')\n"
        "sys.exit(str({'torch', 'numpy', 'pandas', 'pyarrow', 'wandb'} & set(sys.modules) or ''))"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True)
    assert done.stderr.strip() == "", done.stderr


def test_two_reports_are_compared(folder: Path, tmp_path: Path, asr: Asr) -> None:
    code, out, _ = asr("report", "diff", folder, ROOT / "reports" / "example")
    assert code == 0
    assert "all the same" in out
    code, out, _ = asr("report", "diff", folder, folder, "--json")
    found = json.loads(out)
    assert (code, found["rows"], found["better"]) == (0, [], [])
    assert found["a"]["digest"] == asr_gate.load_report(folder).content.digest


def test_an_altered_report_is_not_compared(folder: Path, asr: Asr) -> None:
    rows = folder / "rows.jsonl"
    rows.write_bytes(rows.read_bytes() + b"{}")
    code, _, errors = asr("report", "diff", ROOT / "reports" / "example", folder)
    assert code == 30
    assert "rows.jsonl" in errors
