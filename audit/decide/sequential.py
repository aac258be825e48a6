"""Sequential audits: sample until the decision is settled, with intervals that hold at all looks.

A fixed sample's interval is wrong when somebody looks at it again and again and stops when it
suits. A confidence sequence holds at all looks at once. Here it is the prior-posterior ratio of
Waudby-Smith and Ramdas ("Confidence sequences for sampling without replacement", NeurIPS 2020,
section 2): with a beta-binomial prior on the number of low-quality utterances of a stratum, the
prior's probability of the true number over its posterior's is a martingale of mean 1, whatever the
truth, so that by Ville's inequality it ever exceeds 1/alpha with probability alpha at most. Strata
are sampled independently, and the product of their ratios is a martingale as well, whatever their
order; the share in the whole corpus is bounded over all vectors of numbers that the product allows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import exp, lgamma, log

import numpy as np
from numpy.typing import NDArray

from asr_gate.audit.decide.distributions import log_gamma
from asr_gate.audit.decide.estimate import Interval, StratumCount
from asr_gate.audit.policy import DecisionPolicy
from asr_gate.audit.records.report import Decision

METHOD = (
    "stratified; confidence sequence for sampling without replacement "
    "(prior-posterior ratio, Waudby-Smith and Ramdas), overall and every domain at once"
)

PRIOR = (1.0, 9.0)
"""Of the beta law: one in ten is bad, with the weight of ten rows. Other shares are learnt a little
later; the bounds hold for all."""

GRID = 4000
"""Numbers of low-quality utterances of a stratum that are tried, at most; bounds are taken outward
by one step where the stratum has more."""


@dataclass(frozen=True, slots=True)
class Look:
    """What is known after so many utterances."""

    overall: Interval
    domains: dict[str, Interval]
    settled: Decision | None
    """The decision that every share inside the intervals leads to; None: they leave several."""
    open: tuple[str, ...]
    """What leaves it open: domains, or empty for the corpus as a whole."""


@dataclass(frozen=True, slots=True)
class Ending:
    """How a sequential audit ended."""

    last: Look
    looks: int
    budget: int
    """Utterances that might have been sampled."""


def look(counts: Mapping[str, StratumCount], policy: DecisionPolicy) -> Look:
    """Bounds on the corpus and on every domain, all of which hold at all looks with the policy's
    confidence, and the decision if they settle it.

    Half of the allowed error goes to the corpus, half to the domains in equal parts.

    Args:
        counts: by domain, sampled so far.
        policy: thresholds and confidence.
    """
    error = 1 - policy.confidence
    ratios = [_Ratio.of(stratum) for stratum in counts.values()]
    overall = _overall(ratios, error / 2)
    domains = {
        name: _single(ratio, error / (2 * len(ratios)))
        for name, ratio in zip(counts, ratios, strict=True)
    }
    settled, left = _settle(overall, domains, policy)
    return Look(overall, domains, settled, left)


def _settle(
    overall: Interval, domains: Mapping[str, Interval], policy: DecisionPolicy
) -> tuple[Decision | None, tuple[str, ...]]:
    """The decision that the intervals leave, or the domains that leave it open."""
    stop, proceed = policy.stop_above / 100, policy.proceed_below / 100
    if overall.low > stop:
        return "STOP", ()
    if overall.high > stop:
        return None, ()
    limits = {name: policy.domain_limit(name) / 100 for name in domains}
    if overall.low >= proceed or any(domains[d].low > limit for d, limit in limits.items()):
        return "CAUTION", ()
    if overall.high >= proceed:
        return None, ()
    left = tuple(d for d, limit in limits.items() if domains[d].high > limit)
    return (None, left) if left else ("PROCEED", ())


@dataclass(frozen=True)
class _Ratio:
    """One stratum: for every number of low-quality utterances that it may hold, how far the data
    speaks against it."""

    stratum: StratumCount
    step: int
    """Between two numbers of the grid."""
    numbers: NDArray[np.float64]
    against: NDArray[np.float64]
    """Log of prior over posterior, one a number."""

    @classmethod
    def of(cls, stratum: StratumCount) -> _Ratio:
        size, n, low = stratum.population, stratum.sampled, stratum.low
        step = max(1, -(-(size - n + 1) // GRID))
        numbers = np.arange(low, size - (n - low) + step, step, dtype=float)
        numbers = np.minimum(numbers, size - (n - low))
        alpha, beta = PRIOR
        prior = _beta_binomial(numbers, size, alpha, beta)
        rest = _beta_binomial(numbers - low, size - n, alpha + low, beta + n - low)
        return cls(stratum, step, numbers, prior - rest)


def _beta_binomial(
    count: NDArray[np.float64], n: int, alpha: float, beta: float
) -> NDArray[np.float64]:
    """Log-probability of so many successes in n trials, their rate drawn from a beta law."""
    choose = lgamma(n + 1) - log_gamma(count + 1) - log_gamma(n - count + 1)
    there = log_gamma(count + alpha) + log_gamma(n - count + beta) - lgamma(n + alpha + beta)
    return choose + there - lgamma(alpha) - lgamma(beta) + lgamma(alpha + beta)


def _single(ratio: _Ratio, error: float) -> Interval:
    """Bounds on one stratum's share."""
    size = ratio.stratum.population
    inside = ratio.numbers[ratio.against < log(1 / error)]
    # The posterior cannot be smaller than the prior everywhere, and a grid may step over the peak.
    low, high = (inside[0], inside[-1]) if len(inside) else (ratio.numbers[0], ratio.numbers[-1])
    least, most = ratio.numbers[0], ratio.numbers[-1]
    slack = ratio.step - 1
    rate = _rate(ratio.stratum)
    return Interval(
        rate, min(rate, max(least, low - slack) / size), max(rate, min(most, high + slack) / size)
    )


def _rate(stratum: StratumCount) -> float:
    return stratum.low / stratum.sampled if stratum.sampled else 0.0


def _overall(ratios: list[_Ratio], error: float) -> Interval:
    """Bounds on the share in all strata together.

    The largest total that the product of the ratios allows is found by its Lagrangian dual, each
    point of which is an upper bound by itself, so that no search has to end exactly.
    """
    total = sum(r.stratum.population for r in ratios)
    limit = log(1 / error)

    def bound(sign: int, price: float) -> float:
        best = sum(float((sign * r.numbers - price * r.against).max()) for r in ratios)
        return best + price * limit

    ends = {}
    for sign in (1, -1):
        # It is convex in the price: one outer third cannot hold the least value.
        low, high = log(1e-3), log(10.0 * total)
        while high - low > 0.02:
            third = (high - low) / 3
            if bound(sign, exp(low + third)) < bound(sign, exp(high - third)):
                high -= third
            else:
                low += third
        ends[sign] = sign * bound(sign, exp((low + high) / 2))
    slack = sum(r.step - 1 for r in ratios)
    least = sum(float(r.numbers[0]) for r in ratios)
    most = sum(float(r.numbers[-1]) for r in ratios)
    rate = sum(r.stratum.population * _rate(r.stratum) for r in ratios) / total
    low = max(least, ends[-1] - slack) / total
    high = min(most, ends[1] + slack) / total
    return Interval(rate, min(rate, low), max(rate, high))
