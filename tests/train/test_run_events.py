"""Single events of a training, without one: alerts, targets, names and tags."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest
from torch import nn

from asr_gate.tracking import Tracker, TrackerSettings
from asr_gate.tracking.logs import logs
from asr_gate.tracking.system import hardware_tag
from asr_gate.train import recipes
from asr_gate.train.distributed import Ranks
from asr_gate.train.evaluation.evaluate import EvaluationResult
from asr_gate.train.evaluation.scoring import Scores
from asr_gate.train.loop.events import Milestone, StepRecord
from asr_gate.train.loop.resume import Position
from asr_gate.train.observe import run_recorder
from asr_gate.train.observe.progress import Silent
from asr_gate.train.observe.run_recorder import RunRecorder
from asr_gate.train.observe.tracking import build_tracker, model_tags, with_tracker_settings
from asr_gate.train.record import read_record
from tests.board import open_board, texts
from tests.train.support import run_record


def recorder(
    folder: Path, *overrides: str, log: logging.Logger | None = None, steps: int = 1000
) -> RunRecorder:
    """One of round2-tiny, with TensorBoard's files alone; nothing trains."""
    settings = run_record(*overrides).config
    tracker = Tracker(settings.wandb, tensorboard=folder / "tensorboard").init()
    (folder / "best").mkdir(parents=True, exist_ok=True)
    return RunRecorder(
        folder, run_record(*overrides, planned=steps), tracker, Silent(),
        log or logging.getLogger("quiet"), recipe=settings, model=nn.Linear(1, 1),
    )  # fmt: skip


def step(number: int, loss: float, usual: float | None = None) -> StepRecord:
    return StepRecord(
        step=number, epoch=1, phase="B", loss=loss, usual_loss=usual, gradient_norm=1.0,
        learning_rates={"projector": 1e-3}, rows=4, tokens=40, audio=8.0, wall=0.5,
    )  # fmt: skip


def milestone(number: int, wer: float) -> Milestone:
    result = EvaluationResult(1.0, Scores(wer, wer / 2, 1, 4), {}, {}, [], [])
    return Milestone(1, "B", number, 1.0, result, Path(f"step-{number}"), 1.0)


def alerts(told: RunRecorder) -> list[str]:
    told.metrics.tracker.finish()
    return texts(told.metrics.tracker.tensorboard_folder, "alerts")  # type: ignore[arg-type]


def test_how_long_a_target_took_is_told_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = iter(range(0, 100_000, 1800))  # half an hour from one look at the clock to the next
    monkeypatch.setattr(run_recorder, "perf_counter", lambda: next(now))
    said: list[str] = []
    with logs("target", None, say=said.append) as log:
        told = recorder(tmp_path, "evaluation.target_wer=0.4", log=log)
        summary: dict[str, object] = {}
        monkeypatch.setattr(told.metrics.tracker, "log_summary", summary.update)
        for number, wer in enumerate((0.5, 0.4, 0.45, 0.3), start=1):
            told.step_done(step(number, 1.0))
            told.evaluated(milestone(number, wer))
        told.end("finished")
    reached = read_record(tmp_path).target
    assert reached is not None
    assert (reached.step, reached.wer, reached.target_wer) == (2, 0.4, 0.4)
    assert (reached.hours, reached.audio_hours) == (1.0, 16 / 3600)
    assert summary["eval/target_reached_hours"] == 1.0
    assert summary["eval/target_reached_step"] == 2
    assert "reached in epoch 1 after step 2, 1.00 h" in said[-1]
    # Resumed, the clock goes on from where it stood.
    again = RunRecorder(
        tmp_path, run_record("evaluation.target_wer=0.4"), told.metrics.tracker, Silent(),
        logging.getLogger("quiet"), recipe=told.recipe, model=nn.Linear(1, 1),
        earlier=read_record(tmp_path), at=Position(step=4),
    )  # fmt: skip
    again.saving()
    assert again.record.progress.seconds == 2.5 * 3600
    assert again.record.target == reached


def test_a_target_that_was_not_reached_is_told(tmp_path: Path) -> None:
    said: list[str] = []
    with logs("target", None, say=said.append) as log:
        told = recorder(tmp_path, "evaluation.target_wer=0.1", log=log)
        told.evaluated(milestone(1, 0.2))
        told.end("finished")
    assert read_record(tmp_path).target is None
    assert "10 %: not reached; the lowest was 20.0 %" in said[-1]


def test_a_jump_of_the_loss_is_an_alert(tmp_path: Path) -> None:
    said: list[str] = []
    with logs("jumps", tmp_path, say=said.append) as log:
        told = recorder(tmp_path, log=log)
        told.step_done(step(1, 9.0))
        told.step_done(step(23, 2.9, usual=1.0))
        told.step_done(step(24, 3.1, usual=1.0))
    (alert,) = alerts(told)
    assert alert.startswith("**round2-tiny: loss spike** (WARN): step 24: 3.1")
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [line["level"] for line in lines if line.get("event") == "loss_spike"] == ["WARNING"]
    assert len(said) == 1


@pytest.mark.parametrize(("factor", "expected"), [("null", 0), ("10", 1)])
def test_the_alert_of_jumps_can_be_changed(factor: str, expected: int, tmp_path: Path) -> None:
    told = recorder(tmp_path, f"wandb.alerts.loss_spike={factor}")
    for number, loss in enumerate((9.0, 11.0), start=1):
        told.step_done(step(number, loss, usual=1.0))
    assert len(alerts(told)) == expected


def test_a_run_that_diverged_is_an_error(tmp_path: Path) -> None:
    told = recorder(tmp_path / "on")
    told.diverged("epoch 1, step 3: the loss is not a finite number")
    (alert,) = alerts(told)
    assert alert.startswith("**round2-tiny: training diverged** (ERROR): epoch 1, step 3")
    assert told.record.status == "failed"
    off = recorder(tmp_path / "off", "wandb.alerts.nan=false")
    off.diverged("…")
    assert alerts(off) == []


def test_the_best_wer_so_far_is_an_alert(tmp_path: Path) -> None:
    told = recorder(tmp_path / "on", "wandb.alerts.best_wer=0.01", "wandb.alerts.complete=false")
    for number, wer in enumerate((0.5, 0.495, 0.6, 0.45), start=1):
        told.evaluated(milestone(number, wer))
    told.end("finished")
    (alert,) = alerts(told)
    assert alert.startswith("**round2-tiny: best WER so far** (INFO): 45.00 %")
    off = recorder(tmp_path / "off", "wandb.alerts.best_wer=null")
    for number, wer in enumerate((0.5, 0.4), start=1):
        off.evaluated(milestone(number, wer))
    assert alerts(off) == []


def test_a_finished_training_is_an_alert(tmp_path: Path) -> None:
    told = recorder(tmp_path)
    told.step_done(step(7, 1.0))
    told.evaluated(milestone(7, 0.25))
    told.end("finished")
    (alert,) = alerts(told)
    assert alert.startswith("**round2-tiny: training complete** (INFO): 7 steps")
    stopped = recorder(tmp_path / "stopped")
    stopped.end("stopped", "by SIGTERM after step 1")
    assert alerts(stopped) == []


def test_the_run_of_settings_that_watch_holds_histograms(tmp_path: Path) -> None:
    """Gradients and parameters, as the block says, at the step after the pass."""
    told = recorder(tmp_path, "wandb.watch.gradients=true", "wandb.watch.every=1")
    told.phase_begins(1, "B", [])
    told.model(nn.Parameter(told.model.weight.detach().clone())).sum().backward()
    told.step_done(step(10, 1.0))
    told.metrics.tracker.finish()
    tags = open_board(tmp_path / "tensorboard").Tags()["histograms"]
    assert sorted(tags) == ["gradients/bias", "gradients/weight"]


@pytest.mark.parametrize(
    ("processes", "gpu", "tag"),
    [
        (2, "NVIDIA A100-SXM4-40GB", "2xA100"),
        (1, "NVIDIA GeForce RTX 4090", "1xRTX4090"),
        (8, "NVIDIA H100 80GB HBM3", "8xH100"),
        (1, None, "1xCPU"),
    ],
)
def test_a_run_has_its_hardware_s_tag(processes: int, gpu: str | None, tag: str) -> None:
    assert hardware_tag(processes, gpu) == tag


def test_round2_has_its_tags() -> None:
    for name in ("round2", "round2-tiny"):
        _, settings = recipes.load(name)
        assert settings.wandb.tags == ("round2", "gradual-unfreezing")


@pytest.mark.parametrize(
    ("recipe", "overrides", "tags"),
    [
        ("round2", [], ["qwen3-asr", "1.7B", "gradual-unfreezing"]),
        (
            "round2",
            ["model.pretrained=/models/70B/Qwen3-ASR-0.6B"],
            ["qwen3-asr", "0.6B", "gradual-unfreezing"],
        ),
        ("full", [], ["qwen3-asr", "1.7B"]),
        ("lora", ["model.pretrained=/mine/final"], ["qwen3-asr", "lora"]),
    ],
)
def test_a_run_has_the_tags_of_its_model(
    recipe: str, overrides: list[str], tags: list[str]
) -> None:
    assert model_tags(recipes.load(recipe, overrides)[1]) == tags


def test_round2_has_its_name_unless_another_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    _, recipe = recipes.load("round2")
    for name in ("round2-gradual-unfreezing", "mine"):
        resolved = with_tracker_settings(recipe, [], Ranks(), {}, {})
        plan = run_record().plan
        tracker = build_tracker(resolved, plan, Path("runs/round2-2"), say=lambda _: None)
        assert tracker.settings.run_name == name
        monkeypatch.setenv("WANDB_RUN_NAME", "mine")


def test_the_settings_of_a_recipe_are_the_defaults_of_the_tracker() -> None:
    _, plain = recipes.load("full")
    changed = plain.wandb.model_dump(exclude_defaults=True)
    assert set(changed) <= {"tags", "log_model", "log_interval"}
    assert plain.wandb.log_interval == TrackerSettings().log_interval == 50
