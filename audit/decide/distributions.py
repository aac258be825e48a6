"""Distributions of counts and shares. scipy has them too; it would be a fifth of what an audit
installs, and a second of its start."""

from __future__ import annotations

from math import exp, lgamma, log, log1p, pi

import numpy as np
from numpy.typing import NDArray

PRECISION = 1e-12
"""Relative."""


def hypergeometric_cdf(count: int, size: int, bad: int, n: int) -> float:
    """Probability of at most `count` bad ones among `n` that are drawn, without replacement.

    Args:
        count: from 0.
        size: of the population.
        bad: bad ones in it.
        n: drawn.
    """
    least = max(0, n + bad - size)
    if count < least:
        return 0.0
    if count >= min(n, bad):
        return 1.0
    x = np.arange(least, count, dtype=float)
    # From one number to the next, so that no factorial is needed but for the first.
    steps = np.log((bad - x) * (n - x)) - np.log((x + 1) * (size - bad - n + x + 1))
    first = _log_choose(bad, least) + _log_choose(size - bad, n - least) - _log_choose(size, n)
    return min(1.0, float(np.exp(first + np.append(0.0, steps.cumsum())).sum()))


def _log_choose(n: int, k: int) -> float:
    return lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1)


def beta_quantile(share: float, a: float, b: float) -> float:
    """The x below which a beta distribution has this share: by Newton's method, where a step leads
    out of the bounds found so far by bisection.
    """
    low, high, x = 0.0, 1.0, a / (a + b)
    scale = lgamma(a + b) - lgamma(a) - lgamma(b)
    while True:
        excess = beta_cdf(x, a, b) - share
        low, high = (low, x) if excess > 0 else (x, high)
        density = exp(scale + (a - 1) * log(x) + (b - 1) * log1p(-x))
        following = x - excess / density if density else low
        if not low < following < high:
            following = (low + high) / 2
        if abs(following - x) <= PRECISION * x:
            return following
        x = following


def beta_cdf(x: float, a: float, b: float) -> float:
    """The regularised incomplete beta function.

    By its continued fraction (Abramowitz and Stegun, 26.5.8), evaluated by Lentz's method.
    """
    if x <= 0 or x >= 1:
        return float(x >= 1)
    if x > (a + 1) / (a + b + 2):  # there the fraction converges fast for the other end
        return 1 - beta_cdf(1 - x, b, a)
    c, d = 1.0, 1 / (1 - (a + b) * x / (a + 1))
    fraction, change, m = d, 0.0, 0
    while abs(change - 1) > PRECISION / 100:
        m += 1
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for part in (even, odd):
            d = 1 / (1 + part * d)
            c = 1 + part / c
            change = c * d
            fraction *= change
    scale = a * log(x) + b * log1p(-x) + lgamma(a + b) - lgamma(a) - lgamma(b)
    return exp(scale) * fraction / a


def beta_log_density(x: NDArray[np.float64], a: float, b: float) -> NDArray[np.float64]:
    """Logarithms of a beta distribution's density, between 0 and 1."""
    scale = lgamma(a + b) - lgamma(a) - lgamma(b)
    return np.asarray(scale + (a - 1) * np.log(x) + (b - 1) * np.log1p(-x))


def log_gamma(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Logarithms of the gamma function, of numbers of 1 or more, by Stirling's series."""
    up = x + 7  # from 8 on four terms are enough
    square = up * up
    terms = (1 / 12 - (1 / 360 - (1 / 1260 - 1 / (1680 * square)) / square) / square) / up
    raised = (up - 0.5) * np.log(up) - up + log(2 * pi) / 2 + terms
    return raised - np.log(x * (x + 1) * (x + 2) * (x + 3) * (x + 4) * (x + 5) * (x + 6))
