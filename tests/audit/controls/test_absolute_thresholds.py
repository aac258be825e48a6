"""Which of the policy's absolute thresholds are in force on the data at hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from asr_gate.audit.controls.absolute_thresholds import absolute_thresholds_in_force
from asr_gate.audit.controls.calibrate import calibrate
from asr_gate.audit.records.judged import Judged
from asr_gate.audit.records.measured import Fault, Measured
from tests.audit.controls.rows import FLOORS, POLICY, RATE, judged, normal_rows, row

BOTH = frozenset({"coverage", "confidence"})


def in_force(rows: list[Judged]) -> dict[str, frozenset[str]]:
    calibration = calibrate([r.measured for r in rows], false_alarm=RATE, floors=FLOORS)
    return absolute_thresholds_in_force(rows, calibration, POLICY)


def rows_of(count: int, seed: int, *, domain: str = "d", **figures: float) -> list[Judged]:
    return [judged(r, **figures) for r in normal_rows(count, seed, domain=domain)]


def missing(rows: list[Judged], count: int, **figures: float) -> list[Judged]:
    """The first so many rows with other figures."""
    return [judged(r.measured, **figures) for r in rows[:count]] + rows[count:]


def test_thresholds_are_in_force_where_most_right_transcripts_reach_them() -> None:
    rows = rows_of(100, 0)
    assert in_force(rows) == {"d": BOTH}
    assert in_force(missing(rows, 29, confidence=0.3)) == {"d": BOTH}


@pytest.mark.parametrize(
    ("figures", "left"),
    [
        ({"confidence": 0.3}, {"coverage"}),
        ({"text_coverage": 0.4}, {"confidence"}),
        ({"speech_coverage": 0.4}, {"confidence"}),
        ({"confidence": 0.3, "text_coverage": 0.4}, set()),
    ],
)
def test_a_threshold_that_right_transcripts_miss_is_not_in_force(
    figures: dict[str, float], left: set[str]
) -> None:
    assert in_force(missing(rows_of(100, 0), 40, **figures)) == {"d": left}


def test_wrong_texts_do_not_count_against_a_threshold() -> None:
    """A corpus with many swapped or cut texts: those miss the thresholds, which stay in force."""
    right = rows_of(70, 0)
    for wrong in ({"mismatch": 1.0}, {"edge": 40.0}):
        bad = [
            judged(replace(row(n, **wrong), id=f"w{n}"), confidence=0.2, text_coverage=0.2)
            for n in range(20)
        ]
        assert in_force([*right, *bad]) == {"d": BOTH}


def test_domains_are_judged_apart_and_small_ones_together() -> None:
    weak = rows_of(60, 0, domain="weak", confidence=0.2)
    clear = rows_of(60, 1, domain="clear")
    small = rows_of(4, 2, domain="small", confidence=0.2)
    found = in_force([*weak, *clear, *small])
    assert found["weak"] == {"coverage"}
    assert found["clear"] == BOTH
    assert found["small"] == {"coverage"}, "as with all of them: 64 of 124 miss it"


def faulty(measured: Measured, fault: Fault, **changes: str) -> Judged:
    return Judged(replace(measured, fault=fault, words=(), gaps=(), **changes))


def test_what_was_not_aligned_says_nothing() -> None:
    broken = [
        faulty(r, Fault("A002", "too long"), id=f"x{n}") for n, r in enumerate(normal_rows(80, 1))
    ]
    assert in_force([*rows_of(30, 0), *broken]) == {"d": BOTH}


def test_a_domain_that_could_not_be_decoded_has_thresholds_too() -> None:
    broken = [faulty(r, Fault("S001", "missing"), domain="gone") for r in normal_rows(5, 1)]
    assert in_force([*rows_of(30, 0), *broken])["gone"] == BOTH
    assert in_force(broken) == {"gone": BOTH}
