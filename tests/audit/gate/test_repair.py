"""Texts that `asr clean --repair` puts where they are said."""

from __future__ import annotations

from pathlib import Path

import pytest

from asr_gate.audit.gate.drop import given_away, grouped, left_open, repairs
from asr_gate.audit.pairing.texts import text_file
from asr_gate.audit.records.pairing import FoundRow, MovedWords, Pairing, SearchedFile, UnsureRow
from asr_gate.audit.records.report import Report
from asr_gate.corpus.errors import UserError
from asr_gate.corpus.utterance import Corpus, Utterance
from tests.audit.report.reports import finding, sound

TEXTS = ["one two", "three  four five six", "seven eight one two", "something else"]


def corpus(folder: Path) -> Corpus:
    rows = [
        Utterance(f"r{n}", text, Path("a.wav"), "a.wav", f"{folder}/m.jsonl:{n}")
        for n, text in enumerate(TEXTS)
    ]
    return Corpus(rows, [f"{folder}/m.jsonl"])


def with_pairing(**found: object) -> Report:
    return sound().model_copy(update={"pairing": Pairing.model_validate(found)})


def test_words_go_to_the_neighbour_that_says_them(tmp_path: Path) -> None:
    moved = [
        MovedWords(id="r1", end="first", words="three four", to="r0"),
        MovedWords(id="r2", end="first", words="seven", to="r1"),
        MovedWords(id="r2", end="last", words="one two", to=None),
    ]
    assert repairs(with_pairing(moved=moved), corpus(tmp_path)) == {
        "r0": "one two three four",
        "r1": "five six seven",
        "r2": "eight",
    }
    other = [
        MovedWords(id="r1", end="first", words="quite other", to="r0"),
        MovedWords(id="r0", end="last", words="one two", to="r1"),  # nothing would be left
        MovedWords(id="r9", end="last", words="one two", to="r1"),
    ]
    assert repairs(with_pairing(moved=other), corpus(tmp_path)) == {}


def test_what_stays_and_may_be_wrong_is_named() -> None:
    report = with_pairing(unsure=[UnsureRow(id=i, candidates=["r9"]) for i in ("r0", "r1")])
    domains = report.domain_statistics
    unclear = {name: one.model_copy(update={"cannot_tell": "why"}) for name, one in domains.items()}
    report = report.model_copy(update={"domain_statistics": unclear})
    (name,) = unclear
    findings = [
        finding("r2", "A008", domain=name, counts=False),
        finding("r3", "A008", domain=name, counts=False),
        finding("r4", "A005", domain=name, counts=False, severity="warning"),
        finding("r5", "S001", domain=name),
    ]
    assert left_open(report, findings, {"r1", "r3"}) == {
        "one of several texts may be theirs": ["r0"],
        f"domain {name} cannot be judged": ["r2"],
    }


def test_texts_of_rows_and_of_files(tmp_path: Path) -> None:
    more = tmp_path / "more.txt"
    more.write_text("nobody says this\nthis is said\n")
    file = SearchedFile(file="more.txt", sha256=text_file(more).digest, texts=2)
    report = with_pairing(
        files=[file],
        found=[
            FoundRow(id="r1", text_of="r3", ratio=None, row=2, text_row=4),
            FoundRow(id="r3", text_of="more.txt:2", ratio=0.1, row=4, text_row=None),
        ],
    )
    assert repairs(report, corpus(tmp_path)) == {"r1": "something else", "r3": "this is said"}
    more.write_text("something that nobody audited\n")
    with pytest.raises(UserError, match="audit again"):
        repairs(report, corpus(tmp_path))


def test_a_row_whose_text_was_given_to_another_one_does_not_keep_it() -> None:
    found = [
        FoundRow(id="r0", text_of="r1", ratio=0.1, row=1, text_row=2),
        FoundRow(id="r2", text_of="other.txt:3", ratio=0.1, row=3, text_row=None),
    ]
    away = given_away(with_pairing(found=found), {"one of several": ["r1", "r3"], "why": ["r1"]})
    assert list(away) == ["r1"] and "r0 says" in away["r1"]["reason"]
    assert [(group.code, rows) for group, rows in grouped([*away, "x"], [], away=away)] == [
        ("A012", 1),
        ("skipped", 1),
    ]
