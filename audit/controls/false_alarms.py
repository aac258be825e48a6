"""How many right transcripts pass a threshold: an estimate, since nobody knows which are right.

The utterances as they are hold right transcripts and wrong ones. Wrong ones look like the planted
ones; right ones are taken for one normal bulk (a mixture with one component known: Bordes, Delmas
and Vandekerkhove, "Semiparametric estimation of a two-component mixture model where one component
is known", 2006). Two things betray right ones above a threshold: their bulk reaches up to it, or
more utterances pass it than there are whose evidence is like that of planted defects (Patra and
Sen, "Estimation of a two-component mixture model with applications to multiple testing", 2016).

A right transcript on which the aligner fails altogether looks like a wrong one; nothing tells them
apart, and no estimate from the data counts it.
"""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

STARTS = (0.1, 0.3, 0.5)
"""Quantiles of the utterances as they are, from which the bulk of the right ones is searched."""
STEPS = 200
SETTLED = 1e-6
"""Change of the share of wrong ones from step to step under which the fit has settled."""
LIKE_PLANTED = (0.5, 0.25)
"""Quantiles of the planted ones, beyond which utterances are counted that are like them."""

Values = NDArray[np.float64]


def false_alarms(natural: Values, planted: Values, threshold: float) -> float:
    """Estimated share of right transcripts that pass a threshold.

    Args:
        natural: evidence in the utterances as they are, shape `(utterances,)`.
        planted: evidence in planted defects, shape `(planted,)`.
        threshold: what passes it counts as a defect.
    """
    return max(_of_the_bulk(natural, planted, threshold), _unlike(natural, planted, threshold))


def _of_the_bulk(natural: Values, planted: Values, threshold: float) -> float:
    """The part of the right ones' normal bulk above the threshold, by the likeliest of the fits."""
    width = max(1e-3, 1.06 * float(planted.std()) * len(planted) ** -0.2)
    wrong = _normal(natural[:, None], planted[None], width).mean(axis=1)
    spreads = (width, max(width, float(natural.std())))
    fits = [
        _fit(natural, wrong, float(np.quantile(natural, start)), spread, width)
        for start in STARTS
        for spread in spreads
    ]
    _, centre, spread = max(fits)
    return NormalDist().cdf((centre - threshold) / spread)


def _fit(
    natural: Values, wrong: Values, centre: float, spread: float, least: float
) -> tuple[float, float, float]:
    """Expectation-maximisation from a start: log-likelihood, centre and spread of the right ones.

    A spread under `least` would let the fit end on a few equal values. The one that is returned is
    that of the right ones as they lie.

    Args:
        natural: evidence.
        wrong: its density among wrong ones.
        centre: of the right ones, to start from.
        spread: likewise.
        least: spread under which the density says nothing.
    """
    share, own = 0.3, spread
    for _ in range(STEPS):
        right = (1 - share) * _normal(natural, centre, spread)
        belongs = right / (right + share * wrong + 1e-300)
        weight = float(belongs.sum())
        if weight < 1e-6 or abs(share - (1 - weight / len(natural))) < SETTLED:
            break
        share = 1 - weight / len(natural)
        centre = float(belongs @ natural) / weight
        own = float(belongs @ (natural - centre) ** 2 / weight) ** 0.5
        spread = max(least, own)
    density = (1 - share) * _normal(natural, centre, spread) + share * wrong
    return float(np.log(density + 1e-300).sum()), centre, max(own, 1e-6)


def _normal(values: Values, centre: float | Values, spread: float) -> Values:
    """Density of a normal law."""
    away = (values - centre) / spread
    return np.asarray(np.exp(-0.5 * away * away) / (spread * (2 * np.pi) ** 0.5))


def _unlike(natural: Values, planted: Values, threshold: float) -> float:
    """The share of right ones by how many more pass than are like the planted ones."""
    wrong = max(
        float((natural > np.quantile(planted, at)).mean()) / (1 - at) for at in LIKE_PLANTED
    )
    if wrong >= 1:
        return 0.0
    passing = float((natural > threshold).mean())
    return max(0.0, (passing - wrong * float((planted > threshold).mean())) / (1 - wrong))
