"""From what was found to what is wrong: the share of defects, with all that the audit may get
wrong.

An audit finds only a part of the defects (its power), and takes some right transcripts for wrong
ones (its false alarms). So the share of what was found is not the share of what is wrong: Rogan and
Gladen, "Estimating prevalence from the results of a screening test" (1978). The interval holds the
uncertainty of the sample, of the power and of the false alarms together, as Lang and Reiczigel ask
("Confidence limits for prevalence of disease adjusted for estimated sensitivity and specificity",
2014); here by drawing each from its posterior law (Jeffreys' prior) and counting the defects that
the corpus would hold, those in the sample and those outside it.

The power is known from the planted defects. The false alarms are not: nobody knows which of the
utterances are right. So the upper end takes all that was found for wrong. The lower end takes off
those right ones that the data itself shows to pass (`controls.false_alarms`), and those that no
data shows, on which the aligner fails altogether: about as many as the policy allows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from asr_gate.audit.decide.estimate import MARGIN, Interval, StratumCount
from asr_gate.audit.records.power import MIN_PLANTED

METHOD = (
    "stratified; defects behind the findings by power and false alarms (Rogan and Gladen), their "
    "posterior law by Monte Carlo"
)

DRAWS = 20_000
LEAST_CONTRAST = 0.1
"""Power less false alarms under which what was found says nothing."""


@dataclass(frozen=True, slots=True)
class Power:
    """How well the kinds of defects are found that exclude an utterance."""

    detected: int
    """Planted defects that were found."""
    planted: int
    false_alarms: float
    """Estimated share of right transcripts that pass."""

    @property
    def known(self) -> bool:
        """Whether enough was planted to measure anything."""
        return self.planted >= MIN_PLANTED


@dataclass(frozen=True, slots=True)
class MeasuredStratum:
    """What was found in one domain, and by how good a measurement."""

    count: StratumCount
    power: Power


def defects(
    strata: Sequence[MeasuredStratum],
    confidence: float,
    false_alarm: float,
    *,
    seed: int,
    draws: int = DRAWS,
) -> Interval:
    """Share of low-quality utterances found in a finite population, and the interval of the share
    that is defective.

    Each stratum weighs by its population. A stratum of which nothing was sampled counts with any
    share from 0 to 1, and so does at the upper end one whose power is not known.

    Args:
        strata: with at least one that was sampled.
        confidence: of the interval, 0.95 for 95 %.
        false_alarm: share of right transcripts on which an aligner fails altogether, as the policy
            allows.
        seed: of the draws.
        draws: how many.
    """
    random = np.random.default_rng(seed)
    total = sum(s.count.population for s in strata)
    sampled = [s for s in strata if s.count.sampled]
    known = sum(s.count.population for s in sampled)
    rate = sum(s.count.population / known * s.count.low / s.count.sampled for s in sampled)
    least, most = np.zeros(draws), np.full(draws, float(total - known))
    for stratum in sampled:
        fewest, all_of_them = _draw(stratum, false_alarm, random, draws)
        least += fewest
        most += all_of_them
    tail = MARGIN * (1 - confidence) / 2
    low = float(np.quantile(least, tail, method="inverted_cdf")) / total
    high = float(np.quantile(most, 1 - tail, method="inverted_cdf")) / total
    # A single one may always be missed, or right.
    return Interval(
        rate, min(low, max(0.0, rate - 1 / total)), max(high, min(1.0, rate + 1 / total))
    )


def _draw(
    stratum: MeasuredStratum, false_alarm: float, random: np.random.Generator, draws: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Numbers of defects that one stratum may hold, shape `(draws,)`: least and most."""
    count, controls = stratum.count, stratum.power
    missed = controls.planted - controls.detected
    found = random.beta(count.low + 0.5, count.sampled - count.low + 0.5, draws)
    power = random.beta(controls.detected + 0.5, missed + 0.5, draws)
    passing = controls.false_alarms * count.sampled
    alarms = random.beta(passing + 0.5, count.sampled - passing + 0.5, draws)
    alarms += random.beta(1, 1 / false_alarm - 1, draws)
    least = _defects(count, found, power, alarms, random)
    if not controls.known:
        return least, np.full(draws, float(count.population))
    return least, _defects(count, found, power, np.zeros(draws), random)


def _defects(
    count: StratumCount,
    found: NDArray[np.float64],
    power: NDArray[np.float64],
    alarms: NDArray[np.float64],
    random: np.random.Generator,
) -> NDArray[np.float64]:
    """Defects in a stratum: among what was found, among the rest of the sample, outside it."""
    contrast = np.maximum(power - alarms, LEAST_CONTRAST)
    share = np.clip((found - alarms) / contrast, 0, 1)
    seen, unseen = share * power, share * (1 - power)
    true = seen / np.maximum(seen + (1 - share) * alarms, 1e-12)
    missed = unseen / np.maximum(unseen + (1 - share) * (1 - alarms), 1e-12)
    return np.asarray(
        random.binomial(count.low, np.clip(true, 0, 1))
        + random.binomial(count.sampled - count.low, np.clip(missed, 0, 1))
        + random.binomial(count.population - count.sampled, share),
        dtype=float,
    )


def corrected(found: Interval, power: Power) -> Interval | None:
    """The share of findings as a share of defects, with the interval as it is.

    Returns:
        None where too little was planted, or the findings say next to nothing.
    """
    contrast = power.detected / power.planted - power.false_alarms if power.known else 0.0
    if contrast < LEAST_CONTRAST:
        return None
    share = (found.rate - power.false_alarms) / contrast
    return Interval(min(found.high, max(found.low, share)), found.low, found.high)
