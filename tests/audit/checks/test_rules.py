"""Every rule finds its defect, and nothing in a sound utterance."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from audit.align import AlignedWord
from audit.checks import RULES, run_rules
from audit.checks.rule import Context
from audit.gate import load_policy
from audit.measured import Fault, Measured
from corpus.text.language import same_language

GOOD = Measured(
    id="good-0",
    domain="d",
    lang="en",
    origin="m.jsonl:1",
    text="ten letters",
    duration=1.0,
    speech_seconds=0.8,
    peak_db=-10.0,
    clipped=0.0,
    letters=10,
    unknown=0,
    dropped=0,
    text_coverage=1.0,
    speech_coverage=0.95,
    confidence=0.9,
    quality=0.85,
    words=(AlignedWord("ten", 3, 0.0, 0.4, 0.9, None, None, True),),
    fault=None,
)

UNKEPT = (replace(GOOD.words[0], kept=False),)

DEFECTS: dict[str, dict[str, Any]] = {
    "A001": {"text_coverage": 0.5, "words": UNKEPT},
    "A002": {"fault": Fault("A002", "too long"), "text_coverage": 0.0},
    "A003": {"confidence": 0.4},
    "A004": {"fault": Fault("A004", "too long")},
    "D001": {"id": "z-copy"},
    "D002": {"duration": 50.0},
    "D003": {"letters": 30},
    "S001": {"fault": Fault("S001", "broken"), "duration": 0.0, "speech_seconds": 0.0},
    "S002": {"fault": Fault("S002", "empty"), "duration": 0.0, "speech_seconds": 0.0},
    "S003": {"peak_db": -120.0, "speech_seconds": 0.0, "words": UNKEPT, "confidence": 0.0},
    "S004": {"clipped": 0.02},
    "T001": {"fault": Fault("T001", "empty"), "letters": 0},
    "T002": {"fault": Fault("T002", "foreign"), "unknown": 10},
    "T003": {"unknown": 2},
    "T005": {"lang": "he"},
}


def context(rows: list[Measured]) -> Context:
    content = {row.id: row.id for row in rows} | {"z-copy": "good-0"}
    return Context(load_policy(), content, "en")


def goods() -> list[Measured]:
    return [replace(GOOD, id=f"good-{n}") for n in range(9)]


def test_codes_are_unique_and_every_rule_is_tested() -> None:
    assert [rule.code for rule in RULES] == sorted([*DEFECTS, "T004"])
    assert len({rule.name for rule in RULES}) == len(RULES)


@pytest.mark.parametrize("code", DEFECTS)
def test_a_rule_finds_its_defect_alone(code: str) -> None:
    bad = replace(GOOD, **{"id": "bad", **DEFECTS[code]})
    rows = [*goods(), bad]
    found = [(f.id, f.code) for f in run_rules(rows, context(rows))]
    assert found == [(bad.id, code)]


def test_sound_utterances_have_no_findings() -> None:
    rows = goods()
    assert list(run_rules(rows, context(rows))) == []


def test_mostly_unknown_text_is_low_quality_whatever_else_fits() -> None:
    bad = replace(GOOD, id="bad", unknown=3)
    found = list(run_rules([*goods(), bad], context([*goods(), bad])))
    assert [(f.id, f.code, f.severity) for f in found] == [
        ("bad", "T003", "warning"),
        ("bad", "T004", "error"),
    ]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("en", "en", True),
        ("en-US", "en", True),
        ("English", "en", True),
        ("he", "und", True),
        ("he", "mul", True),
        ("he", "en", False),
    ],
)
def test_languages(one: str, other: str, same: bool) -> None:
    assert same_language(one, other) is same


def test_unreadable_audio_is_no_duplicate() -> None:
    bad = replace(GOOD, id="z-copy", fault=Fault("S001", "missing"))
    assert [f.code for f in run_rules([*goods(), bad], context([*goods(), bad]))] == ["S001"]


def test_messages_say_what_and_how_much() -> None:
    bad = replace(GOOD, id="bad", text_coverage=0.25, words=UNKEPT)
    (finding,) = run_rules([*goods(), bad], context([*goods(), bad]))
    assert finding.message == "25% of the text is said, not 'ten'; 95% of the speech is transcribed"


def test_the_domain_sets_the_rate() -> None:
    slow = [replace(GOOD, id=f"slow-{n}", domain="slow", letters=3) for n in range(5)]
    rows = [*goods(), *slow]
    assert list(run_rules(rows, context(rows))) == []
