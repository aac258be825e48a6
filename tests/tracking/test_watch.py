"""Histograms of a model's gradients and parameters."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from asr_gate.tracking import Tracker
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


def steps_in(folder: Path) -> dict[str, list[int]]:
    """The steps of each histogram in TensorBoard's files."""
    events = read_events(folder)
    return {
        name: [event.step for event in events.Histograms(name)]
        for name in events.Tags()["histograms"]
    }


@pytest.mark.parametrize(
    ("watch", "every", "accumulate", "expected"),
    [
        ({"gradients": True, "every": 3}, None, 1, {"gradients/high.weight": [3, 6]}),
        ({"gradients": True, "every": 4}, None, 2, {"gradients/high.weight": [2, 4, 6]}),
        ({"parameters": True, "every": 6}, None, 1, {"parameters/high.weight": [6]}),
        (
            {"parameters": True, "gradients": True, "every": 6},
            None,
            1,
            {"gradients/high.weight": [6], "parameters/high.weight": [6]},
        ),
        ({"every": 1}, None, 1, {}),
        ({}, 4, 1, {"gradients/high.weight": [4]}),
    ],
)
def test_histograms_are_logged_every_few_backward_passes(
    watch: dict[str, object],
    every: int | None,
    accumulate: int,
    expected: dict[str, list[int]],
    tmp_path: Path,
) -> None:
    model = Model()
    with Tracker(watch=watch, tensorboard=tmp_path) as tracker:
        tracker.init()
        tracker.watch_model(model, every)
        for step in range(1, 8):
            for _ in range(accumulate):
                model.backward()
            tracker.log_metrics({"a": 1}, step=step)
    assert steps_in(tmp_path) == expected
    assert not model.high.weight._backward_hooks


def test_another_call_watches_what_trains_then(tmp_path: Path) -> None:
    model = Model()
    with Tracker(tensorboard=tmp_path) as tracker:
        tracker.init()
        for step in (1, 2):
            tracker.watch_model(model, every=1)
            model.backward()
            tracker.log_metrics({"a": 1}, step=step)
            model.low.requires_grad_(True)
            model.high.requires_grad_(False)
    assert steps_in(tmp_path) == {"gradients/high.weight": [1], "gradients/low.weight": [2]}
    with Tracker() as off:
        off.init()
        off.watch_model(model, every=1)
        assert not model.low.weight._backward_hooks


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
    ("numbers", "count", "edges"),
    [
        ([1.0, float("nan"), float("inf"), 3.0], 2, (1, 3)),
        ([2.0, 2.0], 2, (1.5, 2.5)),
        ([float("nan")], 0, (-0.5, 0.5)),
        ([], 0, (-0.5, 0.5)),
        ([1e-45, 0.0], 2, (0, 1e-45)),
    ],
)
def test_odd_numbers(numbers: list[float], count: int, edges: tuple[float, float]) -> None:
    counts, found = histogram(torch.tensor(numbers))
    assert sum(counts) == count
    assert (found[0], found[-1]) == pytest.approx(edges, rel=0.5)
    counts, found = histogram(torch.tensor([0.5, 1.0], dtype=torch.bfloat16))
    assert (sum(counts), found[0], found[-1]) == (2, 0.5, 1.0)
