"""Confidence sequences hold at every look, and audits stop when they settle the decision."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr_gate.audit.decide.defects import MeasuredStratum, Power
from asr_gate.audit.decide.estimate import StratumCount
from asr_gate.audit.decide.sequential import Look, look
from asr_gate.audit.policy import load_policy
from asr_gate.audit.sample.sequential import Schedule
from bench.estimate import LARGE, RATES, corpora, until_decided

POLICY = load_policy()
SURE = Power(300, 300, 0.0)


def look_at(counts: Mapping[str, StratumCount], power: Power = SURE) -> Look:
    return look({d: MeasuredStratum(one, power) for d, one in counts.items()}, power, POLICY)


@pytest.mark.slow
@pytest.mark.parametrize("bad", [(0.1, 0.1), (0.02, 0.4)])
def test_the_truth_stays_inside_at_every_look(bad: tuple[float, float]) -> None:
    rng = np.random.default_rng(0)
    sizes = {"a": 600, "b": 300}
    low = {d: round(p * sizes[d]) for d, p in zip(sizes, bad, strict=True)}
    truth = sum(low.values()) / sum(sizes.values())
    left = 0
    for _ in range(30):
        order = {d: rng.permutation(n) < low[d] for d, n in sizes.items()}
        for heard in range(10, 300, 10):
            counts = {
                d: StratumCount(n, heard, int(order[d][:heard].sum())) for d, n in sizes.items()
            }
            found = look_at(counts)
            if not found.overall.low <= truth <= found.overall.high or not all(
                found.domains[d].low <= low[d] / sizes[d] <= found.domains[d].high for d in sizes
            ):
                left += 1
                break
    assert left <= 1


@settings(deadline=None)
@given(data=st.data())
def test_bounds_are_bounds(data: st.DataObject) -> None:
    """They lie around the share that was found."""
    counts = {}
    for name in "abc"[: data.draw(st.integers(1, 3))]:
        size = data.draw(st.integers(1, 20_000))
        sampled = data.draw(st.integers(0, min(size, 200)) | st.just(size))
        counts[name] = StratumCount(size, sampled, data.draw(st.integers(0, sampled)))
    found = look_at(counts)
    for interval in (found.overall, *found.domains.values()):
        assert -1e-9 <= interval.low <= interval.rate + 1e-9
        assert interval.rate - 1e-9 <= interval.high <= 1 + 1e-9


@pytest.mark.parametrize(
    ("low", "settled", "left"),
    [
        ((0, 0, 0), "PROCEED", ()),
        ((75, 75, 75), "STOP", ()),
        ((0, 65, 0), None, ()),
        ((0, 0, 25), None, ("c",)),
        ((0, 0, 75), "CAUTION", ()),
    ],
)
def test_a_decision_is_settled_when_nothing_else_is_left(
    low: tuple[int, int, int], settled: str | None, left: tuple[str, ...]
) -> None:
    sizes = {"a": 6000, "b": 3000, "c": 600}
    counts = {d: StratumCount(n, 150, x) for (d, n), x in zip(sizes.items(), low, strict=True)}
    found = look_at(counts)
    assert (found.settled, found.open) == (settled, left), found


def test_an_obvious_stop_needs_half_of_a_small_corpus_at_most() -> None:
    counts = {d: StratumCount(42, 20, 10) for d in "abc"}
    assert look_at(counts, Power(58, 60, 0.0)).settled == "STOP"


@pytest.mark.parametrize(
    ("low", "power", "settled"),
    [
        (0, SURE, "PROCEED"),
        (0, Power(9, 9, 0.0), None),
        (0, Power(30, 60, 0.0), None),
        (30, SURE, None),
        (75, SURE, "STOP"),
        (75, Power(9, 9, 0.0), "STOP"),
        (75, Power(300, 300, 0.45), None),
    ],
)
def test_nothing_is_settled_that_the_measurement_leaves_open(
    low: int, power: Power, settled: str | None
) -> None:
    counts = {"a": StratumCount(6000, 150, low)}
    assert look_at(counts, power).settled == settled


def test_the_schedule_hears_minima_then_proportions_then_what_is_open() -> None:
    schedule = Schedule({"a": 900, "b": 100}, {"a": 90, "b": 10}, 5, {"a": 90, "b": 100})
    first = [schedule.next(()) for _ in range(10)]
    assert first == ["a", "b"] * 5
    assert schedule.started
    for _ in range(40):
        schedule.next(())
    assert schedule.sampled == {"a": 45, "b": 5}
    assert {schedule.next(("b",)) for _ in range(20)} == {"b"}
    while schedule.next(()) is not None:
        pass
    assert sum(schedule.sampled.values()) == schedule.budget == 100


def test_a_domain_that_is_heard_whole_ends_it() -> None:
    schedule = Schedule({"a": 900, "b": 8}, {"a": 90, "b": 8}, 5, {"a": 90, "b": 8})
    while schedule.sampled["b"] < 8:
        schedule.next(())
    assert schedule.next(("b",)) is None


@pytest.mark.slow
@pytest.mark.parametrize("rate", RATES)
def test_stopping_early_is_right_and_saves(rate: float) -> None:
    corpus = next(c for c in corpora(rate) if c.sizes is LARGE)
    found = until_decided(corpus, POLICY, audits=6, seed=0)
    assert found.wrong / found.audits <= 0.05
    assert found.covered / found.audits >= 0.95
    if rate in (0.02, 0.5):
        assert found.sampled / found.audits <= 0.2 * 2500, "a fifth of the fixed sample"
        assert found.settled == found.audits
