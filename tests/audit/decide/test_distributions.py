"""Distributions against scipy's, which is not installed for an audit."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy import special, stats

from asr_gate.audit.controls.wilson import wilson
from asr_gate.audit.decide.distributions import (
    beta_cdf,
    beta_quantile,
    hypergeometric_cdf,
    log_gamma,
)


@pytest.mark.parametrize("size", [1, 7, 105, 100_000])
def test_hypergeometric(size: int) -> None:
    for part, share in itertools.product((0.0, 0.01, 0.3, 1.0), (0.0, 0.02, 0.5, 1.0)):
        bad, n = round(part * size), round(share * size)
        for count in {0, 1, n * bad // size, min(n, bad)}:
            expected = stats.hypergeom.cdf(count, size, bad, n)
            assert hypergeometric_cdf(count, size, bad, n) == pytest.approx(expected, abs=1e-9)
    assert hypergeometric_cdf(0, 10, 9, 5) == 0


@pytest.mark.parametrize("a", [0.02, 1.0, 4.4, 300.5, 2e5])
@pytest.mark.parametrize("b", [0.3, 1.0, 96.0, 1e6])
def test_beta(a: float, b: float) -> None:
    for share in (0.0175, 0.5, 0.9825):
        expected = stats.beta.ppf(share, a, b)
        assert beta_quantile(share, a, b) == pytest.approx(expected, rel=1e-7)
        assert beta_cdf(expected, a, b) == pytest.approx(share, rel=1e-6)
    assert (beta_cdf(0, a, b), beta_cdf(1, a, b)) == (0, 1)


def test_wilson() -> None:
    for n in (1, 3, 86, 5000):
        for count in {0, 1, n // 3, n}:
            expected = stats.binomtest(count, n).proportion_ci(0.95, method="wilson")
            assert wilson(count, n, 0.95) == pytest.approx((expected.low, expected.high))


def test_log_gamma() -> None:
    numbers = np.array([1, 1.5, 2, 9, 300.25, 1e4, 1e7])
    np.testing.assert_allclose(log_gamma(numbers), special.gammaln(numbers), rtol=1e-12, atol=1e-10)
