"""The estimate is of the corpus, and its interval covers."""

from __future__ import annotations

import random

import pytest

from audit.gate.estimate import StratumCount, estimate


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


def test_a_simple_random_sample_gives_wilsons_interval() -> None:
    found = estimate([StratumCount(10**9, 100, 20)], 0.95)
    assert (found.low, found.high) == pytest.approx((0.1334, 0.2888), abs=0.004)


def test_one_utterance_heard_of_many() -> None:
    found = estimate([StratumCount(1000, 1, 0)], 0.95)
    assert found.high > 0.7


@pytest.mark.parametrize("rates", [(0.02, 0.02), (0.05, 0.12), (0.1, 0.25), (0.5, 0.5)])
def test_intervals_cover(rates: tuple[float, float]) -> None:
    """Of 1,000 stratified samples, as many intervals hold the truth as they say."""
    source = random.Random(str(rates))
    populations, sizes = (3000, 1000), (150, 150)
    corpora = [
        [n < round(rate * population) for n in range(population)]
        for rate, population in zip(rates, populations, strict=True)
    ]
    truth = sum(sum(corpus) for corpus in corpora) / sum(populations)
    covered = 0
    for _ in range(1000):
        strata = [
            StratumCount(len(corpus), size, sum(source.sample(corpus, size)))
            for corpus, size in zip(corpora, sizes, strict=True)
        ]
        found = estimate(strata, 0.95)
        covered += found.low <= truth <= found.high
    assert covered >= 935
