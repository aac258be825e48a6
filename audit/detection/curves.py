"""ROC and precision-recall curves of two groups of scores, with bootstrap intervals."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

RESAMPLES = 1000
HELD = 4_000_000
"""Weights held at a time."""


@dataclass(frozen=True)
class Scores:
    """Scores of defective and of right transcripts; higher means more doubtful."""

    bad: Floats
    good: Floats
    bad_rows: NDArray[np.int64]
    good_rows: NDArray[np.int64]
    """Numbers of the utterances that they are of: a planted defect and its utterance as it is have
    the same one, and are drawn together."""


@dataclass(frozen=True)
class Curve:
    """Rates at every threshold, from the strictest to the least strict."""

    thresholds: Floats
    """A score counts as a defect from here on."""
    found: Floats
    """Share of the defective ones, the recall."""
    false_alarms: Floats
    """Share of the right ones."""
    precision: Floats
    """Share of defective ones among those found, at the numbers that there are of both."""


@dataclass(frozen=True)
class Figure:
    """A number and its 95 % interval, by percentiles of the bootstrap over utterances."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Figures:
    """What a curve comes to."""

    auroc: Figure
    average_precision: Figure


def curve(scores: Scores) -> Curve:
    """The curves; at least one score of each group."""
    values, _, is_bad, ends = _sorted(scores)
    bad = np.cumsum(is_bad)[ends]
    good = np.cumsum(~is_bad)[ends]
    return Curve(values[ends], bad / bad[-1], good / good[-1], bad / (bad + good))


def figures(scores: Scores, *, seed: int, resamples: int = RESAMPLES) -> Figures:
    """Areas under both curves; the average precision sums precision over steps of the recall.

    Args:
        scores: at least one of each group.
        seed: of the bootstrap.
        resamples: how many.
    """
    _, rows, is_bad, ends = _sorted(scores)
    names, number = np.unique(rows, return_inverse=True)
    value = _areas(np.ones((1, len(rows))), is_bad, ends)[:, 0]
    random = np.random.default_rng(seed)
    found = []
    step = max(1, HELD // len(rows))
    for start in range(0, resamples, step):
        count = min(step, resamples - start)
        drawn = random.multinomial(len(names), np.full(len(names), 1 / len(names)), count)
        found.append(_areas(drawn[:, number].astype(float), is_bad, ends))
    areas = np.concatenate(found, axis=1)
    low, high = np.nanquantile(areas, (0.025, 0.975), axis=1)
    return Figures(
        *(Figure(float(v), float(a), float(b)) for v, a, b in zip(value, low, high, strict=True))
    )


def _sorted(
    scores: Scores,
) -> tuple[Floats, NDArray[np.int64], NDArray[np.bool_], NDArray[np.int64]]:
    """All scores from the highest on, their rows, which are bad, and where each value ends."""
    values = np.concatenate([scores.bad, scores.good])
    is_bad = np.arange(len(values)) < len(scores.bad)
    rows = np.concatenate([scores.bad_rows, scores.good_rows])
    order = np.argsort(-values, kind="stable")
    values = values[order]
    ends = np.flatnonzero(np.append(np.diff(values) != 0, True))
    return values, rows[order], is_bad[order], ends


def _areas(weights: Floats, is_bad: NDArray[np.bool_], ends: NDArray[np.int64]) -> Floats:
    """Both areas, shape (2, resamples), of weights of shape (resamples, scores).

    Not a number where a resample has none of a group.
    """
    bad = np.cumsum(weights * is_bad, axis=1)[:, ends]
    good = np.cumsum(weights * ~is_bad, axis=1)[:, ends]
    with np.errstate(invalid="ignore", divide="ignore"):
        found, alarms = bad / bad[:, -1:], good / good[:, -1:]
        precision = np.where(bad + good > 0, bad / (bad + good), 0.0)
        steps = np.diff(found, prepend=0.0, axis=1)
        widths = np.diff(alarms, prepend=0.0, axis=1)
        auroc = (widths * (found - steps / 2)).sum(axis=1)
        return np.stack([auroc, (steps * precision).sum(axis=1)])
