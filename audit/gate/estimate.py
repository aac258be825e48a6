"""The estimate: the share of low-quality utterances in the corpus, from a stratified sample."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist

METHOD = "stratified; Wilson score interval on the effective sample size"


@dataclass(frozen=True, slots=True)
class StratumCount:
    """What was found in one domain."""

    population: int
    sampled: int
    low: int
    """Low-quality utterances among the sampled."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A share from 0 to 1 with its interval."""

    rate: float
    low: float
    high: float


def wilson(count: int, n: int, confidence: float) -> Interval:
    """A share of independent trials with Wilson's score interval (1927).

    Args:
        count: successes.
        n: trials, at least one.
        confidence: of the interval.
    """
    return _wilson(count / n, n, NormalDist().inv_cdf(0.5 + confidence / 2))


def _wilson(rate: float, n: float, z: float) -> Interval:
    centre = (rate + z * z / (2 * n)) / (1 + z * z / n)
    spread = z / (1 + z * z / n) * sqrt(rate * (1 - rate) / n + z * z / (4 * n * n))
    return Interval(rate, max(0.0, centre - spread), min(1.0, centre + spread))


def estimate(strata: Sequence[StratumCount], confidence: float) -> Interval:
    """Share of low-quality utterances in a finite population.

    Each stratum weighs by its population (Cochran, "Sampling Techniques", 3rd ed., chapter 5),
    with the finite-population correction, so that a census has no error. The interval is Wilson's
    (1927) on the sample size that a simple random sample would need for the same variance
    (Korn and Graubard, 1998). Each stratum's variance is taken at the Wilson centre and not at the
    share observed, so that a stratum without a finding does not pass for certain.

    Args:
        strata: at least one, each with at least one sampled utterance.
        confidence: of the interval, 0.95 for 95 %.
    """
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    total = sum(s.population for s in strata)
    rate = sum(s.population / total * s.low / s.sampled for s in strata)
    variance = 0.0
    for s in strata:
        unheard = 1 - s.sampled / s.population
        centre = (s.low + z * z / 2) / (s.sampled + z * z)
        variance += (s.population / total) ** 2 * unheard * centre * (1 - centre) / s.sampled
    if variance == 0:
        return Interval(rate, rate, rate)
    middle = sum(s.population / total * (s.low + z * z / 2) / (s.sampled + z * z) for s in strata)
    effective = middle * (1 - middle) / variance
    interval = _wilson(rate, effective, z)
    # What was heard is certain: the corpus holds at least the low ones found, and the good ones.
    found = sum(s.low for s in strata) / total
    sound = sum(s.sampled - s.low for s in strata) / total
    return Interval(rate, max(interval.low, found), min(interval.high, 1 - sound))
