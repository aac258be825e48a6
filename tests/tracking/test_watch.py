"""Histograms of a model's gradients and parameters."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from asr_gate.tracking import Tracker
from asr_gate.tracking.settings import TrackerSettings, Watch
from asr_gate.tracking.watch import BINS, ModelWatch, histogram
from tests.tracking.events import read_events


class Model(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.low = nn.Linear(2, 2, bias=False)
        self.high = nn.Linear(2, 1, bias=False)
        self.low.requires_grad_(False)

    def backward(self) -> None:
        self.high(self.low(torch.ones(1, 2))).sum().backward()


def watched(model: Model, folder: Path, work: Callable[[Tracker], None], **watch: object) -> dict:
    """What TensorBoard has of it: steps by name."""
    settings = TrackerSettings(watch=Watch(**watch))  # type: ignore[arg-type]
    with Tracker(settings, tensorboard=folder) as tracker:
        tracker.init()
        work(tracker)
    events = read_events(folder)
    return {
        name: [event.step for event in events.Histograms(name)]
        for name in events.Tags()["histograms"]
    }


def train(model: Model, steps: int, *, accumulate: int = 1) -> Callable[[Tracker], None]:
    def work(tracker: Tracker) -> None:
        tracker.watch_model(model)
        for step in range(1, steps + 1):
            for _ in range(accumulate):
                model.backward()
            tracker.log_metrics({"a": 1}, step=step)

    return work


def test_gradients_of_what_trains_every_few_passes(tmp_path: Path) -> None:
    model = Model()
    found = watched(model, tmp_path, train(model, 7), gradients=True, every=3)
    assert found == {"gradients/high.weight": [3, 6]}


def test_passes_are_counted_when_gradients_are_accumulated(tmp_path: Path) -> None:
    model = Model()
    found = watched(model, tmp_path, train(model, 4, accumulate=2), gradients=True, every=4)
    assert found == {"gradients/high.weight": [2, 4]}


def test_parameters_alone_and_both(tmp_path: Path) -> None:
    model = Model()
    alone = watched(model, tmp_path / "p", train(model, 1), parameters=True, every=1)
    assert alone == {"parameters/high.weight": [1]}
    both = watched(model, tmp_path / "b", train(model, 1), parameters=True, gradients=True, every=1)
    assert set(both) == {"gradients/high.weight", "parameters/high.weight"}


def test_nothing_unless_asked_for(tmp_path: Path) -> None:
    model = Model()
    assert watched(model, tmp_path, train(model, 2), every=1) == {}
    assert not model.high.weight._backward_hooks


def test_every_asks_for_gradients(tmp_path: Path) -> None:
    model = Model()

    def work(tracker: Tracker) -> None:
        tracker.watch_model(model, every=2)
        for step in (1, 2, 3):
            model.backward()
            tracker.log_metrics({"a": 1}, step=step)

    assert watched(model, tmp_path, work) == {"gradients/high.weight": [2]}


def test_what_is_thawed_is_watched_after_another_call_and_once(tmp_path: Path) -> None:
    model = Model()

    def work(tracker: Tracker) -> None:
        train(model, 1)(tracker)
        model.low.requires_grad_(True)
        model.high.requires_grad_(False)
        tracker.watch_model(model)
        assert not model.high.weight._backward_hooks
        model.backward()
        tracker.log_metrics({"a": 1}, step=2)

    found = watched(model, tmp_path, work, gradients=True, every=1)
    assert found == {"gradients/high.weight": [1], "gradients/low.weight": [2]}


def test_hooks_are_gone_after_the_end(tmp_path: Path) -> None:
    model = Model()
    with Tracker(tensorboard=tmp_path) as tracker:
        tracker.init()
        tracker.watch_model(model, every=1)
        assert model.high.weight._backward_hooks
    assert not model.high.weight._backward_hooks
    with Tracker() as off:  # where nothing is logged, nothing is hooked
        off.init()
        off.watch_model(model, every=1)
        assert not model.high.weight._backward_hooks


def test_the_numbers_are_those_of_the_pass() -> None:
    layer = nn.Linear(4, 1, bias=False)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[1.0, 2.0, 3.0, 5.0]]))
    watch = ModelWatch(layer, gradients=True, parameters=True, every=1)
    layer(torch.tensor([[0.0, 0.0, 1.0, 4.0]])).sum().backward()
    taken = watch.take()
    assert watch.take() == {}
    counts, edges = taken["gradients/weight"]
    assert (counts[0], counts[16], counts[-1], sum(counts)) == (2, 1, 1, 4)
    assert (len(counts), len(edges), edges[0], edges[-1]) == (BINS, BINS + 1, 0, 4)
    counts, edges = taken["parameters/weight"]
    assert (sum(counts), edges[0], edges[-1]) == (4, 1, 5)


@pytest.mark.parametrize(
    ("numbers", "counted", "edges"),
    [
        ([1.0, float("nan"), float("inf"), 3.0], 2, (1, 3)),
        ([2.0, 2.0], 2, (1.5, 2.5)),
        ([float("nan")], 0, (-0.5, 0.5)),
        ([], 0, (-0.5, 0.5)),
        ([1e-45, 0.0], 2, (0, 1e-45)),
    ],
)
def test_odd_numbers(numbers: list[float], counted: int, edges: tuple[float, float]) -> None:
    counts, found = histogram(torch.tensor(numbers))
    assert sum(counts) == counted
    assert (found[0], found[-1]) == pytest.approx(edges, rel=0.5)


def test_half_precision() -> None:
    counts, edges = histogram(torch.tensor([0.5, 1.0], dtype=torch.bfloat16))
    assert (sum(counts), edges[0], edges[-1]) == (2, 0.5, 1.0)
