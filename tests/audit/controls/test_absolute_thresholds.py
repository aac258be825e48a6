"""Which of the policy's fixed figures mean something on the data at hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from asr_gate.audit.controls.absolute_thresholds import absolute_thresholds_in_force
from asr_gate.audit.controls.calibrate import calibrate
from asr_gate.audit.records.measured import Fault, Measured
from tests.audit.controls.rows import FLOORS, POLICY, RATE, normal_rows, row

BOTH = frozenset({"coverage", "confidence"})


def absolute_thresholds(rows: list[Measured]) -> dict[str, frozenset[str]]:
    calibration = calibrate(rows, false_alarm=RATE, floors=FLOORS)
    return absolute_thresholds_in_force(rows, calibration, POLICY)


def missing(rows: list[Measured], count: int, **fields: float) -> list[Measured]:
    """The first so many rows with other figures."""
    return [replace(r, **fields) for r in rows[:count]] + rows[count:]


def test_figures_count_where_most_right_transcripts_reach_them() -> None:
    rows = normal_rows(100, 0)
    assert absolute_thresholds(rows) == {"d": BOTH}
    assert absolute_thresholds(missing(rows, 29, confidence=0.3)) == {"d": BOTH}


@pytest.mark.parametrize(
    ("fields", "left"),
    [
        ({"confidence": 0.3}, {"coverage"}),
        ({"text_coverage": 0.4}, {"confidence"}),
        ({"speech_coverage": 0.4}, {"confidence"}),
        ({"confidence": 0.3, "text_coverage": 0.4}, set()),
    ],
)
def test_a_figure_that_right_transcripts_miss_does_not_count(
    fields: dict[str, float], left: set[str]
) -> None:
    assert absolute_thresholds(missing(normal_rows(100, 0), 40, **fields)) == {"d": left}


def test_wrong_texts_say_nothing_of_a_figure() -> None:
    """A corpus with many swapped or cut texts: those miss the figures, and the figures count."""
    right = normal_rows(70, 0)
    for wrong in ({"mismatch": 1.0}, {"edge": 40.0}):
        bad = [
            replace(row(n, **wrong), id=f"w{n}", confidence=0.2, text_coverage=0.2)
            for n in range(20)
        ]
        assert absolute_thresholds([*right, *bad]) == {"d": BOTH}


def test_domains_are_judged_apart_and_small_ones_together() -> None:
    deaf = [replace(r, confidence=0.2) for r in normal_rows(60, 0, domain="deaf")]
    clear = normal_rows(60, 1, domain="clear")
    small = [replace(r, confidence=0.2) for r in normal_rows(4, 2, domain="small")]
    found = absolute_thresholds([*deaf, *clear, *small])
    assert found["deaf"] == {"coverage"}
    assert found["clear"] == BOTH
    assert found["small"] == {"coverage"}, "as with everyone: 64 of 124 miss it"


def test_what_was_not_aligned_says_nothing() -> None:
    broken = [
        replace(r, id=f"x{n}", fault=Fault("A002", "too long"), words=(), gaps=(), confidence=0.0)
        for n, r in enumerate(normal_rows(80, 1))
    ]
    assert absolute_thresholds([*normal_rows(30, 0), *broken]) == {"d": BOTH}


def test_a_domain_that_nobody_could_hear_has_figures_too() -> None:
    broken = [
        replace(r, fault=Fault("S001", "missing"), words=(), gaps=(), domain="gone")
        for r in normal_rows(5, 1)
    ]
    assert absolute_thresholds([*normal_rows(30, 0), *broken])["gone"] == BOTH
    assert absolute_thresholds(broken) == {"gone": BOTH}
