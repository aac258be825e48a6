"""Small trainings for the trainer's tests: how they are started, killed, and read."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from asr_gate.train import run
from asr_gate.train.loop import fit, trainee
from asr_gate.train.observe.tracked_metrics import TrackedMetrics

SMALL = (
    "model.tiny.audio_width=16",
    "model.tiny.text_width=32",
    "model.tiny.vocabulary=280",
    "evaluation.max_new_tokens=8",
    "data.batch_seconds=6",
    "wandb.log_interval=1",
    "checkpoints.keep=null",
)
TWO_EPOCHS = ("phases.0.epochs=[1]", "phases.1.epochs=[2]")
THREE_EPOCHS = ("phases.0.epochs=[1,2]", "phases.1.epochs=[3]")


def train(
    manifest: Path,
    report: Path,
    *overrides: str,
    recipe: str = "round2-tiny",
    small: Sequence[str] = SMALL,
    curves: bool = False,
    **named: Any,
) -> run.TrainResult:
    """Train `round2-tiny`, smaller still, on a small corpus.

    Args:
        small: overrides that make the recipe smaller.
        curves: draw the curves after each epoch, which takes longer than all the rest.
    """
    with pytest.MonkeyPatch.context() as patch:
        if not curves:
            patch.setattr(TrackedMetrics, "draw_curves", lambda *_: None)
        return run.run(
            recipe,
            data=[str(manifest)],
            report=str(report),
            overrides=[*small, *overrides],
            **named,
        )


def weights(result: run.TrainResult, name: str) -> dict[str, torch.Tensor]:
    """The tensors of a checkpoint."""
    assert result.out is not None
    return load_file(result.out / name / "model.safetensors")


def content(result: run.TrainResult) -> dict[str, Any]:
    """The run's `run.json`, as any reader of JSON has it."""
    assert result.out is not None
    found = json.loads((result.out / "run.json").read_text())
    assert isinstance(found, dict)
    return found


def losses(result: run.TrainResult) -> list[float]:
    """The loss of each step."""
    return [step["loss"] for step in content(result)["steps"]]


def equal_weights(one: run.TrainResult, other: run.TrainResult) -> bool:
    """Whether the final models are equal to the bit."""
    first, second = weights(one, "final"), weights(other, "final")
    return first.keys() == second.keys() and all(torch.equal(first[n], second[n]) for n in first)


def terminated_at(monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    """Get SIGTERM in a step, counted from 0."""
    real = fit.schedule

    def terminated(now: int, *rest: Any) -> float:
        if now == step:
            os.kill(os.getpid(), signal.SIGTERM)
        return real(now, *rest)

    monkeypatch.setattr(fit, "schedule", terminated)


class Killed(BaseException):
    """Nothing in the project may handle this: it is kill -9."""


def killed_at(monkeypatch: pytest.MonkeyPatch, name: str, count: int) -> None:
    """Be killed the n-th time that a function of the loop is called."""
    calls = 0
    module = fit if hasattr(fit, name) else trainee
    real = getattr(module, name)

    def dying(*arguments: Any, **named: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == count:
            raise Killed
        return real(*arguments, **named)

    monkeypatch.setattr(module, name, dying)
