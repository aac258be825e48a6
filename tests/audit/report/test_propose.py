"""The proposed text: the wrong place is changed, everything else stays as it is written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from asr_gate.audit.report.next_steps import Data
from asr_gate.audit.report.page_data import page_data
from asr_gate.audit.report.propose import Proposal, propose
from asr_gate.audit.report.schemas import GAPS, HEARD, UTTERANCES, WORDS
from tests.audit.report.reports import finding, report_of


def proposed(
    text: str,
    heard: str,
    *codes: str,
    unsaid: str = "",
    replaced: str = "",
    gap: int | None = None,
    probability: float = 0.9,
) -> Proposal | None:
    """A word a second, said and heard at the same time; what is heard in a gap comes before it."""
    words: list[dict[str, Any]] = []
    gaps: list[dict[str, Any]] = []
    at = 0.0
    for n, word in enumerate(text.replace("-", " ").split()):
        there = gap == n
        gaps.append({"start": at, "end": at + there, "untranscribed": probability * there})
        at += there
        said = word.strip(".,!?") != unsaid
        words.append(
            {
                "word": word,
                "start": at,
                "end": at + said,
                "spoken": 1.0 if said else 1 - probability,
                "replaced": probability if word.strip(".,!?") == replaced else 0.0,
            }
        )
        at += said
    last = gap == len(words)
    gaps.append({"start": at, "end": at + last, "untranscribed": probability * last})
    sounds = [
        {"word": word, "start": float(n), "end": n + 1.0} for n, word in enumerate(heard.split())
    ]
    return propose(text, words, gaps, sounds, [finding("u", code) for code in codes])


@pytest.mark.parametrize(
    ("text", "heard", "code", "place", "expected"),
    [
        ("the cat um sat", "the cat sat", "A005", {"unsaid": "um"}, "the cat sat"),
        ("Um, the cat sat.", "the cat sat", "A005", {"unsaid": "Um"}, "The cat sat."),
        ("the cat, um, sat", "the cat sat", "A005", {"unsaid": "um"}, "the cat, sat"),
        ("The cat sat, um.", "the cat sat", "A005", {"unsaid": "um"}, "The cat sat."),
        ("the dog, sat", "the cat sat", "A006", {"replaced": "dog"}, "the cat, sat"),
        ("said Dana.", "said omer", "A006", {"replaced": "Dana"}, "said Omer."),
        ("THE DOG SAT", "the cat sat", "A006", {"replaced": "DOG"}, "THE CAT SAT"),
        ("the cat sat", "the BIG cat sat", "A007", {"gap": 1}, "the big cat sat"),
        ("the cat sat.", "the cat sat down", "A007", {"gap": 3}, "the cat sat down."),
        ("החתול ישב", "החתול גדול ישב", "A007", {"gap": 1}, "החתול גדול ישב"),
    ],
)
def test_the_place_is_changed(
    text: str, heard: str, code: str, place: dict[str, Any], expected: str
) -> None:
    found = proposed(text, heard, code, **place)
    assert found is not None
    assert (found.text, found.codes) == (expected, (code,))


def test_confidence_is_the_findings_and_the_hearings() -> None:
    gone = proposed("the cat um sat", "the cat sat", "A005", unsaid="um", probability=0.8)
    assert gone is not None
    assert gone.confidence == pytest.approx(0.8)
    well = proposed("the cat sat", "the big cat sat", "A007", gap=1)
    badly = proposed("the cat sat", "thur big cot sad", "A007", gap=1)
    assert well is not None
    assert badly is not None
    assert well.confidence == pytest.approx(0.9 * 4 / 5)
    assert badly.confidence == pytest.approx(0.9 * 1 / 5)


def test_nothing_is_proposed_where_nothing_can_be_known() -> None:
    assert proposed("the cat sat", "the big cat sat", "A007", gap=1) is not None
    assert proposed("the cat sat", "the big cat sat", "A007", "A008", gap=1) is None, "other text"
    assert proposed("the cat sat", "the big cat sat", gap=1) is None, "no finding"
    assert proposed("the cat sat", "the big cat sat", "A005", gap=1) is None, "another finding"
    assert proposed("החתול ישב", "hahatul gadol yashav", "A007", gap=1) is None, "another script"
    assert proposed("the cat sat", "the", "A006", replaced="sat") is None, "nothing heard there"
    assert proposed("um", "", "A005", unsaid="um") is None, "nothing would be left"
    romanised = proposed("החתול אה ישב", "hahatul yashav", "A005", unsaid="אה")
    assert romanised is not None
    assert romanised.text == "החתול ישב"


def placed(text: str, words: str, heard: str, **changed: dict[str, float]) -> str | None:
    """Words and what is heard at their times, a second each; `changed` is what is known of some."""
    rows = [
        {"word": w, "start": n, "end": n + 1, "spoken": 1.0, "replaced": 0.0} | changed.get(w, {})
        for n, w in enumerate(words.split())
    ]
    gaps = [{"start": 0, "end": 0, "untranscribed": 0.0}] * (len(rows) + 1)
    sounds = [
        {"word": w, "start": n + 0.1, "end": n + 1.1}
        for n, w in enumerate(heard.split())
        if w != "-"
    ]
    found = propose(text, rows, gaps, sounds, [finding("u", "A005"), finding("u", "A006")])
    return None if found is None else found.text


def test_a_word_that_is_not_said_becomes_what_is_said_there() -> None:
    unsaid = {"spoken": 0.1, "replaced": 1.0}
    assert placed("the dog sat", "the dog sat", "the cat sat", dog=unsaid) == "the cat sat"
    assert placed("the dog sat", "the dog sat", "the - sat", dog=unsaid) == "the sat"


def test_words_that_are_said_for_numbers_stay_as_numbers() -> None:
    unsaid, other = {"spoken": 0.1}, {"replaced": 0.9}
    text, words = "7 um cats", "seven um cats"
    assert placed(text, words, "seven - cats", um=unsaid) == "7 cats"
    assert placed(text, words, "eight - cats", um=unsaid, seven=other) == "7 cats"
    assert placed(text, words, "eight um cats", seven=other) is None


def test_the_page_has_what_is_proposed() -> None:
    numbers = {field.name: 1.0 for field in UTTERANCES if field.type == pa.float64()}
    row = {"id": "u", "text": "um yes", "activity": [], "unaligned": []} | numbers
    word: dict[str, Any] = {"id": "u", "replaced": 0.0, "kept": True, "confidence": 1.0}
    tables = {
        "utterances": pa.Table.from_pylist([row], UTTERANCES),
        "words": pa.Table.from_pylist(
            [
                word | {"index": n, "word": text, "start": n, "end": n, "spoken": n}
                for n, text in enumerate(("um", "yes"))
            ],
            WORDS,
        ),
        "gaps": pa.Table.from_pylist(
            [{"id": "u", "index": n, "start": n, "end": n, "untranscribed": 0.0} for n in range(3)],
            GAPS,
        ),
        "heard": HEARD.empty_table(),
    }

    def shown(code: str) -> dict[str, Any]:
        (found,) = page_data(report_of(finding("u", code)), tables, Path("r"), Data([]), 10)["rows"]
        return dict(found)

    assert (shown("A005")["proposed"], shown("A005")["proposed_confidence"]) == ("yes", 1.0)
    assert "proposed" not in shown("A001")
