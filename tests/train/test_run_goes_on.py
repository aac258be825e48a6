"""What a training tells W&B and TensorBoard that was stopped and goes on, and its models."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from asr_gate.tracking import TrackingError
from asr_gate.train.evaluation.evaluate import EvaluationResult
from asr_gate.train.loop import fit
from asr_gate.train.loop.events import StepRecord
from asr_gate.train.observe.run_recorder import RunRecorder
from tests.board import scalars
from tests.tracking.isolation import FAKE_KEY, isolated_wandb
from tests.tracking.loopback import Loopback
from tests.tracking.offline import read_run
from tests.train.trainings import Killed, content, train

SHORT = (
    "phases.0.epochs=[1]",
    "phases.1.epochs=[2,3]",
    "data.batch_seconds=3",
    "evaluation.every_steps=4",
    "wandb.log_interval=2",
    "wandb.detailed_interval=3",
    "wandb.num_predictions=1",
    "wandb.log_audio=true",
    "wandb.log_model=best",
)


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Loopback]:
    with isolated_wandb(tmp_path), Loopback() as loopback:
        monkeypatch.setenv("WANDB_API_KEY", FAKE_KEY)
        monkeypatch.setenv("WANDB_BASE_URL", loopback.url)
        yield loopback


RESUMED = (
    *SHORT,
    "phases.1.epochs=[2]",
    "wandb.log_interval=1",
    "wandb.log_model=none",
    "evaluation.every_steps=null",
    "checkpoints.state_every_steps=1",
)


def test_killed_at_the_switch_it_goes_on_in_the_same_run_and_tells_it_once(
    server: Loopback, manifest: Path, report: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the switch was told, before its first step; later, within the phase, not again."""
    tracking = {"enabled": True}
    calls = 0
    phase_begins, step_done = RunRecorder.phase_begins, RunRecorder.step_done

    def dying(self: RunRecorder, *arguments: Any) -> None:
        nonlocal calls
        calls += 1
        phase_begins(self, *arguments)
        if calls == 2:
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(RunRecorder, "phase_begins", dying)
        with pytest.raises(Killed):
            train(manifest, report, *RESUMED, tracking=tracking)

    def dying_later(self: RunRecorder, record: StepRecord) -> None:
        step_done(self, record)
        if record.phase == "A" and record.step == self.record.switches["A"] + 1:
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(RunRecorder, "step_done", dying_later)
        with pytest.raises(Killed):
            train(manifest, report, *RESUMED, tracking=tracking, resume=True)
    result = train(manifest, report, *RESUMED, tracking=tracking, resume=True)
    final = content(result)
    (run_id,) = server.runs
    assert final["tracking"]["run_id"] == run_id
    rows = server.history(run_id)
    switch = final["epochs"][0]["steps"] + 1
    told = [(row["_step"], row["training/strategy"]) for row in rows if "training/strategy" in row]
    assert told == [(1, "B"), (switch, "A")]
    steps = [row["_step"] for row in rows if "train/loss" in row]
    assert steps == sorted(set(steps))
    assert [row["_step"] for row in rows if "epoch/wer" in row] == [
        one["steps"] for one in final["epochs"]
    ]
    assert result.out is not None
    on_board = scalars(result.out / "tensorboard")
    assert [step for step, _ in on_board["training/strategy_switch"]] == [1, switch]
    assert [step for step, _ in on_board["train/loss"]] == list(
        range(1, final["plan"]["steps"] + 1)
    )


def test_a_run_that_must_go_on_and_cannot_is_one_line(
    server: Loopback, manifest: Path, report: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dying(*_: Any) -> None:
        raise Killed

    monkeypatch.setattr(RunRecorder, "epoch_done", dying)
    with pytest.raises(Killed):
        train(manifest, report, *RESUMED, tracking={"enabled": True})
    server.runs.clear()
    with pytest.raises(TrackingError, match=r"wandb\.resume=allow"):
        train(
            manifest, report, *RESUMED, "wandb.resume=must", tracking={"enabled": True}, resume=True
        )


def test_an_evaluation_that_was_stopped_is_told_when_it_is_made(
    server: Loopback, manifest: Path, report: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dying(*_: Any, **__: Any) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(fit, "evaluate", dying)
        with pytest.raises(Killed):
            train(manifest, report, *RESUMED, tracking={"enabled": True})
    result = train(manifest, report, *RESUMED, tracking={"enabled": True}, resume=True)
    (run_id,) = server.runs
    rows = [row for row in server.history(run_id) if "epoch/wer" in row]
    assert [row["epoch"] for row in rows] == [1, 2]
    assert [row["epoch/wer"] for row in rows] == [
        one["evaluation"]["wer"] for one in content(result)["epochs"]
    ]


def test_an_offline_run_that_goes_on_is_a_new_one(
    manifest: Path, report: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two of one id could not both be sent."""
    tracking = {"enabled": True, "mode": "offline", "folder": tmp_path}

    def dying(*_: Any) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(RunRecorder, "epoch_done", dying)
        with pytest.raises(Killed):
            train(manifest, report, *RESUMED, tracking=tracking)
    result = train(manifest, report, *RESUMED, tracking=tracking, resume=True)
    runs = [read_run(folder) for folder in sorted(tmp_path.glob("wandb/offline-run-*"))]
    assert len({one.run_id for one in runs}) == 2
    assert content(result)["tracking"]["run_id"] in {one.run_id for one in runs}
    rows = [row for one in runs for row in one.history]
    steps = sorted(row["_step"] for row in rows if "train/loss" in row)
    assert steps == list(range(1, content(result)["plan"]["steps"] + 1))
    evaluated = [row["_step"] for row in rows if "epoch/wer" in row]
    assert sorted(evaluated) == [one["steps"] for one in content(result)["epochs"]]


def test_models_of_an_online_run_are_kept_by_number(
    server: Loopback, manifest: Path, report: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wers = iter((0.9, 0.5, 0.7, 0.8))
    real = fit.evaluate

    def rated(*arguments: Any, **named: Any) -> EvaluationResult:
        result = real(*arguments, **named)
        assert result is not None
        return replace(result, scores=replace(result.scores, wer=next(wers)))

    monkeypatch.setattr(fit, "evaluate", rated)
    result = train(
        manifest, report, *RESUMED, "phases.1.epochs=[2,3,4]", "data.batch_seconds=60",
        "wandb.log_model=checkpoints", "wandb.keep=1",
        "wandb.registry=wandb-registry-model/hebrew-asr", tracking={"enabled": True},
    )  # fmt: skip
    versions = server.versions("round2-tiny-model", "qwen3-asr-hebrew")
    # The newest, which is also the final one, and the best; not those of epochs 1 and 3.
    assert [set(aliases) for aliases in versions.values()] == [
        {"best", "epoch-2"},
        {"epoch-4", "final", "latest"},
    ]
    assert server.asked("LinkArtifact") == []  # that waits for a promotion
    second = content(result)["tracking"]["models"]["epoch-2"]
    assert second["reference"].endswith("round2-tiny-model:epoch-2")
    assert [alert["title"] for alert in server.alerts] == [
        "round2-tiny: best WER so far",
        "round2-tiny: training complete",
    ]
