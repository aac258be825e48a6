"""Domains of which nothing can be told, by evidence as real recordings gave it and as drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from asr_gate.audit.controls.calibrate import calibrate
from asr_gate.audit.controls.false_alarms import false_alarms
from asr_gate.audit.controls.untold import false_alarms_by_domain, untold
from asr_gate.audit.records.controls import Control
from asr_gate.audit.records.measured import Measured
from tests.audit.controls.rows import FLOORS, POLICY, RATE, normal_rows, spoken_digits


def domains_untold(rows: Sequence[Measured]) -> list[str]:
    calibration = calibrate(rows, false_alarm=RATE, floors=FLOORS)
    alarms = false_alarms_by_domain(rows, calibration)
    return list(untold(calibration, alarms, POLICY.controls))


def test_spoken_digits_beside_sentences_cannot_be_told() -> None:
    sentences = normal_rows(90, 0, domain="sentences")
    assert domains_untold([*spoken_digits(), *sentences]) == ["digits"]
    assert domains_untold(spoken_digits()) == ["digits"]


def test_nor_can_those_of_which_a_third_is_swapped() -> None:
    digits = [
        replace(r, loss=next(c.value for c in r.controls if c.kind == "swapped"))
        if n % 3 == 0
        else r
        for n, r in enumerate(spoken_digits())
    ]
    assert domains_untold([*digits, *normal_rows(90, 0, domain="sentences")]) == ["digits"]


@pytest.mark.parametrize("share", [0.0, 0.1, 0.3])
def test_wrong_transcripts_are_no_reason_why_nothing_can_be_told(share: float) -> None:
    for seed in range(3):
        rows = normal_rows(90, seed, defects={"mismatch": share})
        assert domains_untold(rows) == []


def test_cut_transcripts_are_neither_right_nor_like_swapped_ones() -> None:
    rows = normal_rows(90, 0)
    cut = [replace(row, loss=0.75, gaps=(*row.gaps[:-1], loud)) for row in rows[:25]
           if (loud := replace(row.gaps[-1], insertion=60.0))]  # fmt: skip
    assert domains_untold([*cut, *rows[25:]]) == []


def test_a_domain_with_too_little_power_is_not_cleared_by_the_others() -> None:
    weak = [
        replace(r, controls=(*(c for c in r.controls if c.kind != "swapped"),
                             Control("swapped", 1.0 if n % 4 else 0.3)))
        for n, r in enumerate(normal_rows(48, 1, domain="weak"))
    ]  # fmt: skip
    assert domains_untold([*weak, *normal_rows(400, 0, domain="clear")]) == ["weak"]


def test_few_rows_are_not_condemned() -> None:
    assert domains_untold(spoken_digits()[:9]) == []


@pytest.mark.parametrize("wrong", [0.0, 0.3])
@pytest.mark.parametrize("passing", [0.0, 0.05, 0.2])
def test_the_share_of_right_ones_that_pass_is_estimated(passing: float, wrong: float) -> None:
    random = np.random.default_rng(0)
    threshold = 3.0 if not passing else {0.05: 1.645, 0.2: 0.842}[passing]
    found = []
    for _ in range(20):
        planted = random.normal(threshold + 1.5, 1.0, 200)
        natural = np.where(
            random.random(400) < wrong, random.normal(threshold + 1.5, 1.0, 400),
            random.normal(0.0, 1.0, 400),
        )  # fmt: skip
        found.append(false_alarms(natural, planted, threshold))
    assert np.median(found) == pytest.approx(passing, abs=0.06)
