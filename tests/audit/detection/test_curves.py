"""Areas under curves, and their intervals."""

from __future__ import annotations

import numpy as np
import pytest

from asr_gate.audit.detection.curves import Scores, curve, figures


def scores(bad: list[float], good: list[float]) -> Scores:
    numbers = np.arange(max(len(bad), len(good)))
    return Scores(np.array(bad), np.array(good), numbers[: len(bad)], numbers[: len(good)])


def test_a_curve_has_the_rates_at_every_threshold() -> None:
    found = curve(scores([3.0, 1.0], [2.0, 1.0, 0.0]))
    assert found.thresholds.tolist() == [3.0, 2.0, 1.0, 0.0]
    assert found.found.tolist() == [0.5, 0.5, 1.0, 1.0]
    assert found.false_alarms.tolist() == pytest.approx([0, 1 / 3, 2 / 3, 1])
    assert found.precision.tolist() == pytest.approx([1, 0.5, 0.5, 0.4])


def test_areas_are_those_of_pairs_and_of_precision() -> None:
    random = np.random.default_rng(0)
    bad, good = random.normal(1, 1, 60).round(1), random.normal(0, 1, 80).round(1)
    found = figures(scores(bad.tolist(), good.tolist()), seed=1)
    pairs = (bad[:, None] > good).mean() + (bad[:, None] == good).mean() / 2
    assert found.auroc.value == pytest.approx(pairs)
    assert found.auroc.low < pairs < found.auroc.high
    assert 0.05 < found.auroc.high - found.auroc.low < 0.3
    c = curve(scores(bad.tolist(), good.tolist()))
    steps = np.diff(c.found, prepend=0)
    assert found.average_precision.value == pytest.approx(float(steps @ c.precision))


def test_what_is_apart_has_an_area_of_one_in_every_resample() -> None:
    found = figures(scores([5.0] * 20, [0.0] * 20), seed=0)
    assert (found.auroc.value, found.auroc.low, found.auroc.high) == (1.0, 1.0, 1.0)
    assert found.average_precision.low == 1.0
