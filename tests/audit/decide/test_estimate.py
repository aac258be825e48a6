"""The estimate is of the corpus, and its interval covers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from asr_gate.audit.decide.estimate import (
    MARGIN,
    StratumCount,
    StratumHours,
    estimate,
    estimate_hours,
    quantile_interval,
)


def test_strata_weigh_by_their_population() -> None:
    found = estimate([StratumCount(9000, 100, 10), StratumCount(1000, 100, 50)], 0.95)
    assert found.rate == pytest.approx(0.9 * 0.1 + 0.1 * 0.5)
    assert found.low < found.rate < found.high


def test_a_census_has_no_error() -> None:
    found = estimate([StratumCount(50, 50, 5), StratumCount(20, 20, 0)], 0.95)
    assert found.low == found.rate == found.high == pytest.approx(5 / 70)


def test_no_finding_is_no_certainty() -> None:
    found = estimate([StratumCount(10000, 100, 0)], 0.95)
    assert (found.rate, found.low) == (0, 0)
    assert 0.03 < found.high < 0.045, "Wilson's upper bound for 0 of 100 is 3.7 %"


def test_a_domain_has_the_exact_interval() -> None:
    found = estimate([StratumCount(10**9, 100, 20)], 0.95)
    exact = stats.binomtest(20, 100).proportion_ci(1 - MARGIN * 0.05)
    assert (found.low, found.high) == pytest.approx((exact.low, exact.high), abs=1e-4)


@settings(deadline=None)
@given(size=st.integers(1, 60), data=st.data())
def test_the_exact_interval_holds_what_it_cannot_rule_out(size: int, data: st.DataObject) -> None:
    sampled = data.draw(st.integers(1, size))
    low = data.draw(st.integers(0, sampled))
    found = estimate([StratumCount(size, sampled, low)], 0.95)
    tail = MARGIN * 0.05 / 2
    allowed = [
        bad
        for bad in range(size + 1)
        if stats.hypergeom.sf(low - 1, size, bad, sampled) > tail
        and stats.hypergeom.cdf(low, size, bad, sampled) > tail
    ]
    assert (found.low, found.high) == pytest.approx((allowed[0] / size, allowed[-1] / size))


def test_what_nobody_heard_may_be_anything() -> None:
    found = estimate([StratumCount(500, 100, 10), StratumCount(500, 0, 0)], 0.95)
    assert found.rate == pytest.approx(0.1)
    assert found.low < 0.05
    assert found.high > 0.55


def test_one_utterance_heard_of_many() -> None:
    found = estimate([StratumCount(1000, 1, 0)], 0.95)
    assert found.high > 0.7


def test_hours_weigh_by_length() -> None:
    long_ones_bad = StratumHours(100, 500.0, [1.0] * 40 + [9.0] * 10, [False] * 40 + [True] * 10)
    found = estimate_hours([long_ones_bad], 0.95)
    assert found is not None
    assert found.rate == pytest.approx(90 / 130)
    assert found.low < found.rate < found.high
    everything = StratumHours(2, 10.0, [1.0, 9.0], [False, True])
    census = estimate_hours([everything], 0.95)
    assert census is not None
    assert (census.low, census.rate, census.high) == pytest.approx((0.9, 0.9, 0.9))
    assert estimate_hours([StratumHours(5, 0.0, [0.0, 0.0], [True, False])], 0.95) is None


def test_intervals_of_hours_cover() -> None:
    rng = np.random.default_rng(0)
    corpus = [(rng.gamma(4, 2, n), rng.random(n) < p) for n, p in ((3000, 0.05), (1000, 0.2))]
    total = sum(lengths.sum() for lengths, _ in corpus)
    truth = sum(lengths[bad].sum() for lengths, bad in corpus) / total
    covered = 0
    for _ in range(500):
        strata = []
        for lengths, bad in corpus:
            heard = rng.choice(len(lengths), 150, replace=False)
            strata.append(
                StratumHours(len(lengths), lengths.sum(), list(lengths[heard]), list(bad[heard]))
            )
        found = estimate_hours(strata, 0.95)
        assert found is not None
        covered += found.low <= truth <= found.high
    assert covered / 500 >= 0.94


def test_intervals_of_percentiles_cover() -> None:
    rng = np.random.default_rng(0)
    corpus = [rng.beta(8, 1, 2000), rng.beta(3, 1, 500)]
    truth = float(np.quantile(np.concatenate(corpus), 0.25, method="inverted_cdf"))
    covered = 0
    for _ in range(500):
        strata = [(len(v), rng.choice(v, 80, replace=False)) for v in corpus]
        found = quantile_interval(strata, 0.25, 0.95)
        assert found.low <= found.rate <= found.high
        covered += found.low <= truth <= found.high
    assert covered / 500 >= 0.94
