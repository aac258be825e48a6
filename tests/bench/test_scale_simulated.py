"""The simulation of large audits, where its result is known."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bench.scale_simulated import World, simulate

CALM = World(rate=10.0, spread=0.0, slow=0.0, loss=1e12, driver=0.0)


def test_a_calm_cluster_takes_what_arithmetic_says() -> None:
    one = simulate(10.0, 1, CALM)
    assert one.took == pytest.approx(CALM.start + 3_600.0)
    assert one.cost == pytest.approx(one.took / 3_600.0)
    ten = simulate(10.0, 10, CALM)
    assert ten.took == pytest.approx(CALM.start + 360.0)
    large = simulate(1_000.0, 10, CALM)
    assert large.took == pytest.approx(CALM.start + 36_000.0, rel=0.01), "the rest at their pace"


def test_losses_stragglers_and_a_busy_driver_cost_time() -> None:
    calm = simulate(10.0, 10, CALM).took
    lost = simulate(10.0, 10, replace(CALM, loss=600.0))
    assert lost.losses > 0 and lost.took > calm
    assert simulate(10.0, 10, replace(CALM, slow=0.5), seed=1).took > calm
    assert simulate(10.0, 10, replace(CALM, driver=10.0)).took >= 150 * 10.0
