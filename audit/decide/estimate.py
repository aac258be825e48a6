"""The estimate: what share of the corpus is of low quality, from a stratified sample."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import fsum
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from asr_gate.audit.controls.wilson import wilson as wilson_bounds
from asr_gate.audit.decide.distributions import beta_quantile, hypergeometric_cdf
from asr_gate.corpus.utterance import Seconds

MARGIN = 0.7
"""Share of the allowed error that the intervals use. The coverage of an interval for a share swings
about its level (Brown, Cai and DasGupta, "Interval estimation for a binomial proportion", 2001);
here the level is kept from below, as `python -m bench.estimate` shows."""


@dataclass(frozen=True, slots=True)
class StratumCount:
    """What was found in one domain."""

    population: int
    sampled: int
    low: int
    """Low-quality utterances among the sampled."""


@dataclass(frozen=True)
class StratumHours:
    """The same with lengths: one entry a sampled utterance."""

    population: int
    seconds: Seconds
    """Of the whole domain."""
    sampled: Sequence[Seconds]
    low: Sequence[bool]


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
        confidence: level of the interval, 0.95 for 95 %.
    """
    return Interval(count / n, *wilson_bounds(count, n, confidence))


def estimate(strata: Sequence[StratumCount], confidence: float) -> Interval:
    """Share of utterances that a look at all of a finite population would find, by sampling alone.

    One stratum: the exact interval, from the hypergeometric distribution (the populations that make
    what was found neither too rare nor too common). Several: each weighs by its population
    (Cochran, "Sampling Techniques", 3rd ed., chapter 5), with the finite-population correction, so
    that a census has no error; the interval is Clopper and Pearson's (1934) on the sample size that
    a simple random sample would need for the same variance (Korn and Graubard, "Confidence
    intervals for proportions with small expected number of positive counts estimated from survey
    data", 1998). Each stratum's variance is taken at the Wilson centre and not at the share
    observed, so that a stratum without a finding does not pass for certain. A stratum of which
    nothing was sampled counts with any share from 0 to 1.

    Args:
        strata: with at least one that was sampled.
        confidence: of the interval, 0.95 for 95 %.
    """
    sampled = [s for s in strata if s.sampled]
    total = sum(s.population for s in strata)
    known = sum(s.population for s in sampled)
    found = _exact(sampled[0], confidence) if len(sampled) == 1 else _combined(sampled, confidence)
    unknown = 1 - known / total
    return Interval(found.rate, found.low * (1 - unknown), found.high * (1 - unknown) + unknown)


def _exact(stratum: StratumCount, confidence: float) -> Interval:
    """The interval of one stratum by inverting the two one-sided hypergeometric tests."""
    size, n, count = stratum.population, stratum.sampled, stratum.low
    tail = MARGIN * (1 - confidence) / 2
    first, last = count, size - (n - count)
    low = _first(first, last, lambda bad: 1 - hypergeometric_cdf(count - 1, size, bad, n) > tail)
    # What is found of the sound ones is the same question from the other end.
    fewer = _first(
        0, last - first, lambda less: hypergeometric_cdf(count, size, last - less, n) > tail
    )
    return Interval(count / n, low / size, (last - fewer) / size)


def _first(low: int, high: int, holds: Callable[[int], bool]) -> int:
    """The first number from `low` to `high` for which a monotone test holds."""
    while low < high:
        middle = (low + high) // 2
        if holds(middle):
            high = middle
        else:
            low = middle + 1
    return low


def _combined(strata: Sequence[StratumCount], confidence: float) -> Interval:
    total = sum(s.population for s in strata)
    rate = fsum(s.population / total * s.low / s.sampled for s in strata)
    parts = [
        (s.population / total, *_centred(s.low / s.sampled, s.sampled, confidence)) for s in strata
    ]
    variance = fsum(
        share**2 * (1 - s.sampled / s.population) * spread
        for s, (share, _, spread) in zip(strata, parts, strict=True)
    )
    middle = fsum(share * centre for share, centre, _ in parts)
    interval = _clopper_pearson(rate, middle, variance, confidence)
    # What was sampled is certain: the corpus holds at least the low ones found, and the good ones.
    found = sum(s.low for s in strata) / total
    sound = sum(s.sampled - s.low for s in strata) / total
    return Interval(
        rate, min(rate, max(interval.low, found)), max(rate, min(interval.high, 1 - sound))
    )


def _centred(rate: float, n: float, confidence: float) -> tuple[float, float]:
    """Wilson's centre of a share of `n` trials, and the variance of the share there."""
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    centre = (rate * n + z * z / 2) / (n + z * z)
    return centre, centre * (1 - centre) / n


def _clopper_pearson(rate: float, middle: float, variance: float, confidence: float) -> Interval:
    """The interval of a share with this variance; `middle` is where the variance was taken."""
    if variance <= 0:
        return Interval(rate, rate, rate)
    n = middle * (1 - middle) / variance
    tail, count = MARGIN * (1 - confidence) / 2, rate * n
    low = beta_quantile(tail, count, n - count + 1) if count > 0 else 0.0
    high = beta_quantile(1 - tail, count + 1, n - count) if count < n else 1.0
    return Interval(rate, low, high)


def estimate_hours(strata: Sequence[StratumHours], confidence: float) -> Interval | None:
    """Share of the corpus' audio that lies in low-quality utterances.

    In each stratum the ratio of low-quality to all sampled seconds (Cochran, chapter 6: the
    separate ratio estimator, linearised), weighted by the stratum's seconds; the interval as in
    `estimate`. The variance is the larger of the linearised one and that of shares that do not
    depend on length, so that few findings do not pass for certain.

    Returns:
        None where no length is known.
    """
    total = fsum(s.seconds for s in strata)
    if not total:
        return None
    rate = middle = variance = known = 0.0
    for s in strata:
        lengths, low = np.array(s.sampled, float), np.array(s.low, float)
        if not lengths.sum():
            continue
        share = s.seconds / total
        known += share
        part = float((lengths * low).sum() / lengths.sum())
        effective = float(lengths.sum() ** 2 / (lengths**2).sum())
        centre, spread = _centred(part, effective, confidence)
        linear = float(((lengths * (low - part)) ** 2).sum() / lengths.sum() ** 2)
        rate += share * part
        middle += share * centre
        variance += share**2 * (1 - len(s.sampled) / s.population) * max(spread, linear)
    if not known:
        return None
    found = _clopper_pearson(rate / known, middle / known, variance / known**2, confidence)
    return Interval(found.rate, found.low * known, found.high * known + 1 - known)


def quantile(values: NDArray[np.float64], weights: NDArray[np.float64], share: float) -> float:
    """The smallest of the values up to which this share of the weight lies."""
    return float(np.quantile(values, share, weights=weights, method="inverted_cdf"))


def quantile_interval(
    strata: Sequence[tuple[int, NDArray[np.float64]]], share: float, confidence: float
) -> Interval:
    """A quantile over a finite population and its interval (Woodruff, 1952).

    The interval of the share of utterances up to the quantile, read back as values.

    Args:
        strata: population and the sampled values of each; at least one value in all.
        share: 0.5 for the median.
        confidence: of the interval.
    """
    sampled = [(population, values) for population, values in strata if len(values)]
    values = np.concatenate([v for _, v in sampled])
    weights = np.concatenate([np.full(len(v), size / len(v)) for size, v in sampled])
    point = quantile(values, weights, share)
    counts = [StratumCount(size, len(v), int((v <= point).sum())) for size, v in sampled]
    there = estimate(counts, confidence)
    low = quantile(values, weights, min(1.0, max(0.0, share - (there.rate - there.low))))
    high = quantile(values, weights, min(1.0, max(0.0, share + (there.high - there.rate))))
    return Interval(point, min(low, point), max(high, point))
