"""The relative gain in WER, and how far its interval can be believed."""

import numpy as np
import pytest

from asr_gate.train.evaluation.paired_bootstrap import gain
from asr_gate.train.evaluation.scoring import Errors

Pairs = list[tuple[Errors, Errors]]


def pairs(before: float, after: float, seed: int, utterances: int = 60) -> Pairs:
    """Errors of two models in utterances of ten words, some harder than others."""
    choose = np.random.default_rng(seed)
    hard = choose.uniform(0.5, 1.5, utterances)
    sides = [choose.binomial(10, rate * hard) for rate in (before, after)]
    return [tuple(Errors(10, int(n), 0, 0, 50, 5 * int(n)) for n in both)
            for both in zip(*sides, strict=True)]  # fmt: skip


def test_it_is_a_share_of_the_first_sides_errors() -> None:
    made = pairs(0.4, 0.2, seed=1)
    before, after = (sum(one.word_errors for one in side) for side in zip(*made, strict=True))
    found = gain(made, 0.95, 1, 6)
    assert found.share == pytest.approx((before - after) / before)
    assert found.low < found.share < found.high
    wide = gain(made, 0.99, 1, 6)
    assert wide.low < found.low
    assert wide.high > found.high
    assert gain(made[:5], 0.95, 1, 6).low is None


def test_where_nothing_is_wrong_nothing_is_gained() -> None:
    right = Errors(10, 0, 0, 0, 50, 0)
    found = gain([(right, right)] * 20, 0.95, 1, 6)
    assert (found.share, found.low, found.high) == (0, 0, 0)
    worse = gain([(right, Errors(10, 1, 0, 0, 50, 5))] * 20, 0.95, 1, 6)
    assert worse.high < 0


def test_a_gain_that_is_just_not_enough_is_seldom_shown() -> None:
    """A true gain of 5 %: the interval lies above 5 % in at most 2.5 % of cases, but for chance."""
    shown = sum(gain(pairs(0.4, 0.38, seed), 0.95, 1, 6).low >= 0.05 for seed in range(100))
    assert shown <= 7
