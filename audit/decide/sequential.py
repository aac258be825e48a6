"""Sequential audits: sample until the decision is settled, with intervals that hold at all looks.

A fixed sample's interval is wrong when somebody looks at it again and again and stops when it
suits. A confidence sequence holds at all looks at once. Here it is the prior-posterior ratio of
Waudby-Smith and Ramdas ("Confidence sequences for sampling without replacement", NeurIPS 2020,
section 2): with a beta-binomial prior on the number of low-quality utterances of a stratum, the
prior's probability of the true number over its posterior's is a martingale of mean 1, whatever the
truth, so that by Ville's inequality it ever exceeds 1/alpha with probability alpha at most. Strata
are sampled independently, and the product of their ratios is a martingale as well, whatever their
order; the share in the whole corpus is bounded over all vectors of numbers that the product allows.

That is the share of what would be found in the whole corpus. The share of defects behind it lies
between bounds that the power and the false alarms give. The power is bounded at all looks likewise,
by the prior-posterior ratio of a beta law on planted defects.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import exp, lgamma, log
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from asr_gate.audit.decide.defects import MeasuredStratum, Power
from asr_gate.audit.decide.distributions import beta_log_density, beta_quantile, log_gamma
from asr_gate.audit.decide.estimate import Interval, StratumCount
from asr_gate.audit.policy import DecisionPolicy, Policy
from asr_gate.audit.records.report import Decision

METHOD = (
    "stratified; confidence sequence for sampling without replacement "
    "(prior-posterior ratio, Waudby-Smith and Ramdas), overall and every domain at once; defects "
    "behind the findings by bounds of power and false alarms"
)

PRIOR = (1.0, 9.0)
"""Of the beta law: one in ten is bad, with the weight of ten rows. Other shares are learnt a little
later; the bounds hold for all."""

GRID = 4000
"""Numbers of low-quality utterances of a stratum that are tried, at most; bounds are taken outward
by one step where the stratum has more."""

POWER_PRIOR = (9.0, 1.0)
"""Of the beta law: nine in ten planted defects are found, with the weight of ten."""
OF_THE_MEASUREMENT = 0.3
"""Share of the allowed error for power and false alarms; the rest is for the sample."""


@dataclass(frozen=True, slots=True)
class Look:
    """What is known after so many utterances."""

    overall: Interval
    """Of defects, around the share of what was found."""
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


def look(strata: Mapping[str, MeasuredStratum], power: Power, policy: Policy) -> Look:
    """Bounds on the corpus and on every domain, all of which hold at all looks with the policy's
    confidence, and the decision if they settle it.

    Of the error that is allowed for the sample, half goes to the corpus, half to the domains in
    equal parts.

    Args:
        strata: by domain, what was found so far.
        power: in all of them together.
        policy: thresholds, confidence, and the false alarms that it allows.
    """
    decision = policy.decision
    error = (1 - decision.confidence) * (1 - OF_THE_MEASUREMENT)
    ratios = [_Ratio.of(stratum.count) for stratum in strata.values()]
    overall = _overall(ratios, error / 2)
    domains = {
        name: _single(ratio, error / (2 * len(ratios)))
        for name, ratio in zip(strata, ratios, strict=True)
    }
    measurement = _Measurement.of(power, policy)
    wider = measurement.defects(overall, [s.count for s in strata.values()], power)
    settled, left = _settle(overall, domains, decision)
    # `decide` asks the same of the interval: beyond the other threshold it says CAUTION.
    if (settled == "STOP" and wider.low < decision.proceed_below / 100) or (
        settled == "PROCEED" and not (power.known and wider.high <= decision.stop_above / 100)
    ):
        settled, left = None, ()
    each = {
        name: measurement.defects(domains[name], [stratum.count], stratum.power)
        for name, stratum in strata.items()
    }
    return Look(wider, each, settled, left)


@dataclass(frozen=True, slots=True)
class _Measurement:
    """Bounds of what the measurement gets wrong."""

    least: float
    """Of the power."""
    most: float
    allowed: float
    """Right transcripts on which the aligner fails altogether."""
    deviations: float
    """Standard deviations, by which the found part of so many defects may be off."""
    tail: float

    @classmethod
    def of(cls, power: Power, policy: Policy) -> _Measurement:
        error = (1 - policy.decision.confidence) * OF_THE_MEASUREMENT
        least, most = _power_bounds(power, error / 3)
        return cls(
            least,
            most,
            policy.controls.false_alarm,
            -NormalDist().inv_cdf(error / 3),
            error / 3,
        )

    def defects(self, found: Interval, counts: Sequence[StratumCount], power: Power) -> Interval:
        """The share of defects behind the share of what would be found in all of some strata."""
        size = sum(count.population for count in counts)
        sampled = sum(count.sampled for count in counts)
        passing = power.false_alarms * sampled
        alarms = beta_quantile(1 - self.tail, passing + 0.5, sampled - passing + 0.5)
        alarms += self.allowed
        low = (found.low - alarms) / max(self.most - alarms, 1e-9)
        # Of so many defects a part is found that may be smaller than the power by chance.
        chance = self.deviations * (self.least * (1 - self.least) / size) ** 0.5
        root = (chance + (chance**2 + 4 * self.least * found.high) ** 0.5) / (2 * self.least)
        high = root**2 if power.known else 1.0
        return Interval(
            found.rate,
            float(min(found.low, max(0.0, low), max(0.0, found.rate - 1 / size))),
            float(max(found.high, min(1.0, high), min(1.0, found.rate + 1 / size))),
        )


def _power_bounds(power: Power, error: float) -> tuple[float, float]:
    """Bounds on the power that hold at all looks."""
    shares = np.linspace(1e-3, 1 - 1e-3, 999)
    missed = power.planted - power.detected
    prior = beta_log_density(shares, *POWER_PRIOR)
    posterior = beta_log_density(shares, POWER_PRIOR[0] + power.detected, POWER_PRIOR[1] + missed)
    inside = shares[prior - posterior < log(1 / error)]
    return float(inside[0]), 1.0 if inside[-1] == shares[-1] else float(inside[-1])


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
