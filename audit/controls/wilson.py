"""Wilson's score interval for a share (1927)."""

from __future__ import annotations

from math import sqrt
from statistics import NormalDist


def wilson(count: int, n: int, confidence: float) -> tuple[float, float]:
    """Bounds on a share of independent trials.

    Args:
        count: successes.
        n: trials, at least one.
        confidence: level of the interval, 0.95 for 95 %.
    """
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    centre = (count + z * z / 2) / (n + z * z)
    half = z * sqrt(count * (n - count) / n + z * z / 4) / (n + z * z)
    return (centre - half if count else 0.0), (centre + half if count < n else 1.0)
