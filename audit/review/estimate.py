"""From people's verdicts on a blind sample: how right the audit's findings are, and the share of
wrong rows in the corpus.

Two-phase sampling for stratification (Cochran, "Sampling Techniques", 3rd ed., chapter 12; with a
fallible measurement in the first phase: Tenenbein, 1970): the audit flags rows of its sample, which
gives the share of the corpus that is flagged; people judge some of the flagged rows and some of the
others, which gives the share of wrong ones in each. The interval comes from the posterior law of
both (Jeffreys' prior), drawn by Monte Carlo, as for the audit's own estimate. Rows of which nobody
is sure count as right at the lower end and as wrong at the upper one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from asr_gate.audit.decide.estimate import MARGIN, Interval
from asr_gate.audit.review.sample import AuditedRow

METHOD = (
    "two-phase sampling (Cochran, chapter 12; Tenenbein 1970), posterior law by Monte Carlo "
    "(Jeffreys' prior)"
)
DRAWS = 20_000
LEAST = 30
"""Judged rows of a domain from which on it has an estimate of its own."""

Numbers = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Judged:
    """People's verdicts on one kind of rows: flagged ones, or others."""

    rows: int
    """Judged, unsure ones among them."""
    faulty: int
    unsure: int
    shares: tuple[float, float, float]
    """Of faulty rows, each row by its weight: unsure ones taken as right, left out, as wrong."""
    effective: float
    """Rows that a simple random sample would need for the same variance."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What the verdicts show; shares from 0 to 1."""

    flagged: Judged
    others: Judged
    estimate: Interval
    """Wrong rows among those of the corpus."""
    precision: Interval
    """Wrong rows among those that the audit flags."""
    recall: Interval
    """Flagged rows among the wrong ones."""
    missed: Interval
    """Wrong rows among those that it does not flag."""


def measure(
    rows: Sequence[AuditedRow],
    faulty: Mapping[str, bool | None],
    populations: Mapping[str, int],
    confidence: float,
    *,
    seed: int,
    draws: int = DRAWS,
) -> Measured | None:
    """Estimate from a blind sample.

    Args:
        rows: the audit's sample.
        faulty: the judged rows of the blind sample by id: wrong, right, or (None) not decided.
        populations: rows of the corpus, by domain.
        confidence: of the intervals.
        seed: of the draws.
        draws: how many.

    Returns:
        None where nothing was decided of the flagged rows, or of the others, if there are any.
    """
    parts = [_judged([row for row in rows if row.flagged == f], faulty) for f in (True, False)]
    for part, flag in zip(parts, (True, False), strict=True):
        there = any(row.flagged == flag for row in rows)
        if there and part.rows == part.unsure:
            return None
    flagged, others = parts
    random = np.random.default_rng(seed)
    share, point = _flagged(rows, populations, random, draws)
    tail = MARGIN * (1 - confidence) / 2

    def law(part: Judged) -> tuple[Numbers, Numbers]:
        """Share of faulty ones: with unsure rows taken as right, and as wrong."""
        low, _, high = part.shares
        n = part.effective
        return (
            random.beta(low * n + 0.5, (1 - low) * n + 0.5, draws),
            random.beta(high * n + 0.5, (1 - high) * n + 0.5, draws),
        )

    def interval(rate: float, least: Numbers, most: Numbers) -> Interval:
        low = float(np.quantile(least, tail))
        high = float(np.quantile(most, 1 - tail))
        return Interval(rate, min(low, rate), max(high, rate))

    (f_low, f_high), (o_low, o_high) = law(flagged), law(others)
    f, o = flagged.shares[1], others.shares[1]
    total = point * f + (1 - point) * o
    return Measured(
        flagged=flagged,
        others=others,
        estimate=interval(
            total, share * f_low + (1 - share) * o_low, share * f_high + (1 - share) * o_high
        ),
        precision=interval(f, f_low, f_high),
        recall=interval(
            point * f / total if total else 1.0,
            _part(share * f_low, (1 - share) * o_high),
            _part(share * f_high, (1 - share) * o_low),
        ),
        missed=interval(o, o_low, o_high),
    )


def by_domain(
    rows: Sequence[AuditedRow],
    faulty: Mapping[str, bool | None],
    populations: Mapping[str, int],
    confidence: float,
    *,
    seed: int,
) -> dict[str, Interval]:
    """Share of wrong rows in each domain of which enough were judged; as `measure`."""
    found = {}
    for domain, population in sorted(populations.items()):
        members = [row for row in rows if row.domain == domain]
        if sum(faulty.get(row.id) is not None for row in members) >= LEAST:
            one = measure(members, faulty, {domain: population}, confidence, seed=seed)
            if one is not None:
                found[domain] = one.estimate
    return found


def _part(one: Numbers, other: Numbers) -> Numbers:
    return np.asarray(one / np.maximum(one + other, 1e-12))


def _judged(rows: Sequence[AuditedRow], faulty: Mapping[str, bool | None]) -> Judged:
    """What was said of some of the rows, which were drawn by their weights."""
    judged = [row for row in rows if row.id in faulty]
    if not judged:
        return Judged(0, 0, 0, (0.0, 0.0, 0.0), 0.0)
    chances = _chances([row.weight for row in rows], len(judged))
    chance = {row.id: p for row, p in zip(rows, chances, strict=True)}
    said = [faulty[row.id] for row in judged]
    stands_for = np.array([row.weight / chance[row.id] for row in judged])
    stands_for /= stands_for.sum()
    wrong = stands_for[[one is True for one in said]].sum()
    unsure = stands_for[[one is None for one in said]].sum()
    decided = 1 - unsure
    return Judged(
        rows=len(judged),
        faulty=sum(one is True for one in said),
        unsure=sum(one is None for one in said),
        shares=(
            float(min(1, wrong)),
            float(min(1, wrong / decided)) if decided > 1e-12 else 0.0,
            float(min(1, wrong + unsure)),
        ),
        effective=float(1 / (stands_for**2).sum()),
    )


def _chances(weights: Sequence[float], size: int) -> Numbers:
    """Chance of each row to be among `size` drawn by weight; those that are certain have 1."""
    given = np.array(weights)
    chances = np.zeros(len(given))
    certain = np.zeros(len(given), bool)
    while (left := size - int(certain.sum())) > 0 and not certain.all():
        chances = np.where(certain, 1.0, left * given / given[~certain].sum())
        more = (chances >= 1) & ~certain
        if not more.any():
            break
        certain |= more
    return np.minimum(np.where(certain, 1.0, chances), 1.0)


def _flagged(
    rows: Sequence[AuditedRow],
    populations: Mapping[str, int],
    random: np.random.Generator,
    draws: int,
) -> tuple[Numbers, float]:
    """Share of the corpus that the audit would flag, shape `(draws,)`, and the estimate of it."""
    total, known, rate = np.zeros(draws), 0, 0.0
    for domain, population in sorted(populations.items()):
        members = [row.flagged for row in rows if row.domain == domain]
        size, count = len(members), sum(members)
        if not size:
            total += random.uniform(0, population, draws)
            continue
        law = random.beta(count + 0.5, size - count + 0.5, draws)
        total += count + random.binomial(population - size, law)
        known += population
        rate += population * count / size
    return total / sum(populations.values()), rate / known
