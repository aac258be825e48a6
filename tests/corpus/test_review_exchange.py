"""Spreadsheets and Label Studio: what goes out comes back as corrections; no formula runs."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest

from asr_gate.corpus.corrections import Correction
from asr_gate.corpus.errors import UserError
from asr_gate.corpus.label_studio import read_label_studio, task
from asr_gate.corpus.review_table import COLUMNS, read_table, table

FORMULAS = ["=1+1", "+1", "-1", "@x", "\tx", "'=x", "＝1", "''-x"]


def filled(tmp_path: Path, *rows: dict[str, str], delimiter: str = ",") -> Path:
    """A table as it comes back from a spreadsheet."""
    file = tmp_path / "back.csv"
    with file.open("w", encoding="utf-8-sig", newline="") as stream:
        writer = csv.DictWriter(stream, COLUMNS, restval="", delimiter=delimiter)
        writer.writeheader()
        writer.writerows(rows)
    return file


def said(found: list[Correction]) -> list[tuple[object, ...]]:
    return [(c.id, c.action, c.new_text, c.start, c.end) for c in found]


@pytest.mark.parametrize("text", [*FORMULAS, "plain", "'quoted'", 'a "b"; c, d', "שלום\nעולם"])
def test_no_cell_is_a_formula_and_every_text_comes_back(tmp_path: Path, text: str) -> None:
    content = table([{"id": text, "text": text, "proposed": text}]).decode("utf-8-sig")
    (row,) = csv.DictReader(io.StringIO(content, newline=""))
    assert row["text"][0] not in "=+-@\t＝"
    row["new_text"] = "x"
    (found,) = read_table(filled(tmp_path, row))
    assert (found.id, found.old_text) == (text, text)


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_verdicts_of_a_table(tmp_path: Path, delimiter: str) -> None:
    about = {"text": "was", "who": "dana", "at": "2026-03-01T10:00:00Z"}
    file = filled(
        tmp_path,
        {"id": "a", **about, "new_text": " is "},
        {"id": "b", **about, "verdict": "Bad audio", "note": "clicks"},
        {"id": "c", **about, "verdict": "trim", "keep_from": "0,5", "keep_to": "2"},
        {"id": "d", **about, "verdict": "right"},
        {"id": "e", **about, "verdict": "unsure"},
        {"id": "f", **about},
        delimiter=delimiter,
    )
    found = read_table(file)
    assert said(found) == [
        ("a", "text", "is", None, None), ("b", "drop", None, None, None),
        ("c", "trim", None, 0.5, 2.0), ("d", "keep", None, None, None),
    ]  # fmt: skip
    assert {(c.old_text, c.who, c.source) for c in found} == {("was", "dana", "import")}
    assert found[1].why == "bad_audio: clicks"


@pytest.mark.parametrize(
    "row",
    [
        {"verdict": "maybe"},
        {"verdict": "correct"},
        {"verdict": "right", "new_text": "x"},
        {"verdict": "trim", "keep_from": "1"},
        {"verdict": "trim", "keep_from": "x", "keep_to": "2"},
        {"verdict": "wrong", "at": "today"},
    ],
)
def test_a_row_that_contradicts_itself_is_named(tmp_path: Path, row: dict[str, str]) -> None:
    with pytest.raises(UserError, match=r"back\.csv:2: "):
        read_table(filled(tmp_path, {"id": "a", "text": "t", **row}))


def annotated(tmp_path: Path, *results: dict[str, Any], **about: Any) -> Path:
    data = {"id": "a", "text": "was", "audio": "/a.wav", "offset": 10.0}
    one = task(data, "might be", [(11.0, 12.0)], "asr-gate 1", 0.5)
    assert one["predictions"][0]["result"][0]["value"] == {"text": ["might be"]}
    del one["predictions"]
    one["annotations"] = [{"result": list(results), "completed_by": 3, **about}]
    file = tmp_path / "export.json"
    file.write_text(json.dumps([one]))
    return file


def text_of(text: object) -> dict[str, Any]:
    return {"from_name": "transcription", "type": "textarea", "value": {"text": text}}


def region(label: str, start: float, end: float) -> dict[str, Any]:
    return {"from_name": "spans", "value": {"labels": [label], "start": start, "end": end}}


def choice(name: str) -> dict[str, Any]:
    return {"from_name": "verdict", "value": {"choices": [name]}}


@pytest.mark.parametrize(
    ("results", "expected"),
    [
        ([text_of(["is"])], [("a", "text", "is", None, None)]),
        ([text_of("is")], [("a", "text", "is", None, None)]),
        ([text_of(["was"])], [("a", "keep", None, None, None)]),
        ([text_of(["is"]), choice("wrong")], [("a", "drop", None, None, None)]),
        ([text_of(["is"]), choice("unsure")], []),
        (
            [text_of(["is"]), region("keep", 10.5, 12.0), region("flagged", 11, 12)],
            [("a", "trim", None, 0.5, 2.0), ("a", "text", "is", None, None)],
        ),
        ([], []),
    ],
)
def test_annotations(tmp_path: Path, results: list[dict[str, Any]], expected: list[Any]) -> None:
    assert said(read_label_studio(annotated(tmp_path, *results))) == expected


def test_who_and_when_come_from_the_file(tmp_path: Path) -> None:
    at = {"created_at": "2021-03-09T22:16:08.728353Z", "updated_at": "2021-03-10T00:00:00.1Z"}
    (one,) = read_label_studio(annotated(tmp_path, text_of(["is"]), **at))
    assert (one.who, one.at, one.source) == ("label-studio 3", at["updated_at"], "import")
    person = {"completed_by": {"id": 1, "email": "dana@x.org", "first_name": "D"}}
    (one,) = read_label_studio(annotated(tmp_path, text_of(["is"]), **person))
    assert one.who == "dana@x.org"
    assert not read_label_studio(annotated(tmp_path, text_of(["is"]), was_cancelled=True))


@pytest.mark.parametrize(
    "results",
    [
        [choice("perhaps")],
        [region("keep", 1, 2), region("keep", 3, 4)],
        [region("keep", 12, 11)],
        [{"from_name": "transcription", "value": {"text": [1]}}],
    ],
)
def test_an_annotation_that_contradicts_itself_is_named(
    tmp_path: Path, results: list[dict[str, Any]]
) -> None:
    with pytest.raises(UserError, match=r"export\.json: task 1: "):
        read_label_studio(annotated(tmp_path, *results))
