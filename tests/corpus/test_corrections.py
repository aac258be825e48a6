"""Corrections: read strictly, held against a corpus, written with a ledger, and never twice."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from asr_gate.corpus.correct import Plan, ledger_of, plan, write_corrected
from asr_gate.corpus.corrections import Correction, read_corrections, read_ledger
from asr_gate.corpus.errors import UserError
from asr_gate.corpus.read import read_corpus

ROWS = ["a", "b", "c", "d"]


@pytest.fixture
def manifest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Four rows of one second; of the last the manifest has no duration."""
    monkeypatch.chdir(tmp_path)
    rows = []
    for n, name in enumerate(ROWS):
        soundfile.write(f"{name}.wav", np.full(16000, 0.1 * n), 16000)
        row = {"id": name, "audio_filepath": f"{name}.wav", "text": f"text {name}"}
        rows.append(row if name == "d" else {**row, "duration": 1.0})
    rows.append({"id": "out", "audio_filepath": "../x.wav", "text": "elsewhere"})
    Path("m.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return Path("m.jsonl")


def correction(id: str, action: str = "text", **fields: Any) -> Correction:
    given: dict[str, Any] = {"new_text": "new"} if action == "text" else {}
    given |= {"start": 0.25, "end": 0.75} if action == "trim" else {}
    return Correction.model_validate({"id": id, "action": action, **given, **fields})


def planned(manifest: Path, *corrections: Correction) -> tuple[Plan, dict[str, str]]:
    found = plan(read_corpus([manifest]), corrections)
    return found, {f"{one.id} {one.action} {one.who}".strip(): one.outcome for one in found.entries}


def test_texts_trims_and_drops_are_applied_and_told(manifest: Path) -> None:
    corrections = [
        correction("a", new_text="  new\n text ", old_text="text a"),
        correction("a", "trim"),
        correction("b", "drop", why="noise"),
        correction("d", "trim", start=0.5, end=1.1),
        correction("out", "drop"),
        correction("c", "keep"),
    ]
    found, _ = planned(manifest, *corrections)
    corpus = read_corpus([manifest])
    (placed,) = write_corrected(corpus, found)
    assert placed.path == Path("m.corrected.jsonl")
    again = read_corpus([placed.path])
    assert [(u.id, u.text, u.offset, u.duration) for u in again.utterances] == [
        ("a", "new text", 0.25, 0.5), ("c", "text c", 0.0, 1.0), ("d", "text d", 0.5, 0.5),
    ]  # fmt: skip
    assert again.skipped == []
    ledger = read_ledger(ledger_of(placed.path))
    assert [(e.id, e.action, e.outcome) for e in ledger] == [
        ("a", "text", "applied"), ("a", "trim", "applied"), ("b", "drop", "applied"),
        ("d", "trim", "applied"), ("out", "drop", "applied"), ("c", "keep", "nothing to do"),
    ]  # fmt: skip
    assert ledger[0].origin == "m.jsonl:1"


def test_the_same_corrections_again_change_nothing_more(manifest: Path) -> None:
    first = [correction("a", old_text="text a"), correction("a", "trim"), correction("b", "drop")]
    found, _ = planned(manifest, *first)
    (placed,) = write_corrected(read_corpus([manifest]), found)
    again, outcomes = planned(placed.path, *first, correction("c", new_text="more"))
    assert outcomes == {
        "a text": "nothing to do", "a trim": "nothing to do", "b drop": "unknown",
        "c text": "applied",
    }  # fmt: skip
    (twice,) = write_corrected(read_corpus([placed.path]), again)
    ledger = read_ledger(ledger_of(twice.path))
    assert [e.outcome for e in ledger[:3]] == ["applied"] * 3, "it begins with the first one's"
    assert len(ledger) == 7
    _, outcomes = planned(twice.path, *first)
    assert outcomes["a trim"] == "nothing to do"


def test_what_does_not_fit_the_corpus_is_left_out_with_its_reason(manifest: Path) -> None:
    found, outcomes = planned(
        manifest,
        correction("a", old_text="another text"),
        correction("b", "drop", old_text="another text"),
        correction("c", "trim", start=0.5, end=1.5),
        correction("nobody", "drop"),
        correction("out"),
        correction("d", new_text="text d"),
    )
    assert outcomes == {
        "a text": "conflict", "b drop": "conflict", "c trim": "refused", "nobody drop": "unknown",
        "out text": "refused", "d text": "nothing to do",
    }  # fmt: skip
    assert all(e.reason for e in found.entries)
    assert (found.edits.dropped, found.edits.texts, found.edits.trims) == (set(), {}, {})


@pytest.mark.parametrize(
    ("given", "applied"),
    [
        ([("", "text", "x"), ("", "text", "y")], set()),
        ([("", "text", "x"), ("", "text", " x ")], {"x"}),
        ([("dana", "text", "x"), ("dana", "text", "y")], {"y"}),
        ([("dana", "text", "x"), ("omer", "text", "y")], set()),
        ([("dana", "text", "x"), ("omer", "text", "x")], {"x"}),
        ([("dana", "text", "x"), ("omer", "drop", None)], set()),
        ([("dana", "text", "x"), ("omer", "keep", None)], set()),
        ([("dana", "drop", None), ("dana", "text", "x")], {"x"}),
        ([("dana", "text", "x"), ("dana", "trim", None)], {"x", 0.25}),
        ([("dana", "text", "x"), ("omer", "trim", None)], set()),
        ([("dana", "trim", None), ("omer", "trim", None)], {0.25}),
    ],
)
def test_people_who_contradict_each_other(
    manifest: Path, given: list[tuple[str, str, str | None]], applied: set[object]
) -> None:
    corrections = [
        correction("a", action, who=who, **({"new_text": text} if text else {}))
        for who, action, text in given
    ]
    found, outcomes = planned(manifest, *corrections)
    edits = found.edits
    assert {*edits.texts.values(), *(t.offset for t in edits.trims.values())} == applied
    assert not edits.dropped
    assert ("conflict" in outcomes.values()) == (not applied)


def test_a_format_without_times_keeps_the_row_and_says_why(manifest: Path) -> None:
    Path("m.csv").write_text("audio_filepath,text\na.wav,one\nb.wav,two\n")
    found, outcomes = planned(Path("m.csv"), correction("a.wav", "trim"), correction("b.wav"))
    assert outcomes == {"a.wav trim": "refused", "b.wav text": "applied"}
    assert "offset" in found.entries[0].reason


@pytest.mark.parametrize(
    "line",
    [
        "{",
        "[]",
        '{"id": "a"}',
        '{"id": "", "action": "drop"}',
        '{"id": "a", "action": "delete"}',
        '{"id": "a", "action": "text"}',
        '{"id": "a", "action": "text", "new_text": "  "}',
        '{"id": "a", "action": "drop", "new_text": "x"}',
        '{"id": "a", "action": "trim", "start": 1}',
        '{"id": "a", "action": "trim", "start": 1, "end": 1}',
        '{"id": "a", "action": "trim", "start": "0", "end": 1}',
        '{"id": "a", "action": "trim", "start": NaN, "end": 1}',
        '{"id": "a", "action": "drop", "at": "yesterday"}',
        '{"id": "a", "action": "drop", "more": 1}',
        '{"id": "a", "action": "drop", "id": "b"}',
        '{"id": "a", "action": "text", "new_text": "\\ud800"}',
    ],
)
def test_a_line_that_is_no_correction_is_named(tmp_path: Path, line: str) -> None:
    file = tmp_path / "c.jsonl"
    file.write_text('{"id": "a", "action": "drop"}\n\n' + line + "\n")
    with pytest.raises(UserError, match=r"c\.jsonl:3: ") as caught:
        read_corrections(file)
    assert "\n" not in str(caught.value)
