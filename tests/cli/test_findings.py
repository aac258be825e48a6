"""`asr findings`."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from asr_gate.audit.records.report import Skipped
from tests.audit.report.reports import finding, report_of, write_report

Asr = Callable[..., tuple[int, str, str]]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    report = report_of(
        finding("cut", "A001", origin="train.jsonl:7", message="half", speaker="s1"),
        finding("cut", "A009", origin="train.jsonl:7", message="1.0 s lie after", speaker="s1"),
        finding("tag", "T008", severity="warning", origin="train.jsonl:3", message="tag '<b>'"),
        finding("leak", "D004", severity="warning", origin="b.csv:2", split="dev", domain="e"),
        finding("doubt", "A008", origin="train.jsonl:9", message="\x1b[31m", counts=False),
        skipped=[Skipped(id="gone", origin="train.jsonl:8", reason="leaves the root")],
    )
    return write_report(report, tmp_path / "reports" / "phase0")


def lines(out: str) -> list[str]:
    return [line for line in out.splitlines() if line.startswith("corpus/")]


def test_each_row_stands_once_by_cause_with_file_and_line(folder: Path, asr: Asr) -> None:
    code, out, _ = asr("findings")
    assert code == 0
    assert lines(out) == [
        "corpus/train.jsonl:7: A009 1.0 s lie after (also A001)",
        "corpus/train.jsonl:9: A008 \\x1b[31m (does not count)",
        "corpus/train.jsonl:3: T008 tag '<b>'",
        "corpus/b.csv:2: D004 40% of the text is said",
        "corpus/train.jsonl:8: leaves the root",
    ]
    assert "The text or the audio is cut off: 1 row, 1 excluded" in out
    assert "4 rows, 1 of them excluded" in out


@pytest.mark.parametrize(
    ("options", "ids"),
    [
        (["--code", "A001"], ["cut"]),
        (["--code", "t008,leaked-audio"], ["tag", "leak"]),
        (["--code", "T008", "--code", "D004"], ["tag", "leak"]),
        (["--severity", "error"], ["cut"]),
        (["--severity", "info"], ["doubt"]),
        (["--domain", "e"], ["leak"]),
        (["--split", "dev"], ["leak"]),
        (["--speaker", "s1"], ["cut"]),
        (["--file", "b.csv"], ["leak"]),
        (["--file", "corpus/*.csv"], ["leak"]),
        (["--file", "corpus"], ["cut", "tag", "leak", "doubt"]),
        (["--file", "rain.jsonl"], []),
        (["--code", "D001"], []),
    ],
)
def test_rows_are_chosen(options: list[str], ids: list[str], folder: Path, asr: Asr) -> None:
    code, out, _ = asr("findings", folder, *options, "--json")
    rows = json.loads(out)
    assert (code, {row["id"] for row in rows}) == (0, {*ids})
    code, out, _ = asr("findings", folder, *options)
    assert (code, len(lines(out))) == (0, len(ids))


def test_the_finding_that_was_asked_for_comes_first(folder: Path, asr: Asr) -> None:
    _, out, _ = asr("findings", "--code", "A001")
    assert lines(out) == ["corpus/train.jsonl:7: A001 half (also A009)"]
    (row,) = json.loads(asr("findings", "--code", "A001", "--json")[1])
    assert [f["code"] for f in row["findings"]] == ["A001", "A009"]
    assert (row["file"], row["line"], row["excluded"]) == ("corpus/train.jsonl", 7, True)


def test_a_table_has_one_line_a_row(folder: Path, asr: Asr) -> None:
    rows = list(csv.DictReader(io.StringIO(asr("findings", "--csv")[1])))
    assert [row["id"] for row in rows] == ["leak", "tag", "cut", "doubt"]
    assert (rows[2]["code"], rows[2]["also"], rows[2]["cause"]) == ("A009", "A001", "cut")
    assert rows[3]["message"] == "\\x1b[31m"


def test_bad_usage(folder: Path, asr: Asr) -> None:
    assert asr("findings", "--code", "A05")[0] == 2
    assert asr("findings", "--csv", "--json")[0] == 2
    assert asr("findings", "reports/none")[0] == 30


def test_a_domain_or_split_that_is_not_there_is_told(folder: Path, asr: Asr) -> None:
    for option, there in (("--domain", "d, e"), ("--split", "dev")):
        code, _, err = asr("findings", folder, option, "typo")
        assert (code, there in err) == (2, True), err
