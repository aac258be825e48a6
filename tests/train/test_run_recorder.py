"""What a training tells: its metrics, events, tables, drawings, models, alerts and log."""

from __future__ import annotations

import json
import logging
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from PIL import Image
from torch import nn
from wandb.proto import wandb_internal_pb2

from asr_gate.tracking import Tracker, TrackerSettings, TrackingError
from asr_gate.tracking.charts import line_image
from asr_gate.tracking.logs import logs
from asr_gate.tracking.sync_state import read_sync_state
from asr_gate.tracking.system import hardware_tag
from asr_gate.train import recipes, run
from asr_gate.train.distributed import Ranks
from asr_gate.train.evaluation.evaluate import EvaluationResult
from asr_gate.train.evaluation.scoring import Scores
from asr_gate.train.loop import fit
from asr_gate.train.loop.events import Milestone, StepRecord
from asr_gate.train.loop.resume import Position
from asr_gate.train.observe import run_recorder
from asr_gate.train.observe.progress import Silent
from asr_gate.train.observe.run_recorder import RunRecorder
from asr_gate.train.observe.tracking import build_tracker, model_tags, with_tracker_settings
from asr_gate.train.record import read_record
from tests.board import numbers, open_board, scalars, texts
from tests.tracking.isolation import FAKE_KEY, isolated_wandb
from tests.tracking.loopback import Loopback
from tests.tracking.offline import OfflineRun, _records, read_run
from tests.train.support import run_record
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


@dataclass(frozen=True)
class Told:
    """A whole run, offline, and all that it left."""

    result: run.TrainResult
    offline: OfflineRun
    records: list[StepRecord]
    """Of its steps, as the loop gave them."""

    @property
    def out(self) -> Path:
        assert self.result.out is not None
        return self.result.out

    @property
    def json(self) -> dict[str, Any]:
        return content(self.result)

    def rows(self, name: str) -> list[dict[str, Any]]:
        """The rows in which something was logged."""
        return [row for row in self.offline.history if name in row]

    @property
    def lines(self) -> list[dict[str, Any]]:
        """Of the log."""
        return [json.loads(line) for line in (self.out / "log.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def told(manifest: Path, report: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    folder = tmp_path_factory.mktemp("told")
    records: list[StepRecord] = []
    real = RunRecorder.step_done

    def step_done(self: RunRecorder, record: StepRecord) -> None:
        records.append(record)
        real(self, record)

    with isolated_wandb(folder), pytest.MonkeyPatch.context() as patch:
        patch.setattr(RunRecorder, "step_done", step_done)
        settings = {"enabled": True, "mode": "offline", "folder": folder}
        result = train(
            manifest, report, *SHORT, "wandb.group=mine", out=folder / "r", curves=True,
            tracking=settings, profile=True,
        )  # fmt: skip
        (offline,) = folder.glob("wandb/offline-run-*")
        # In here, as the copies of its artifacts go with the folder.
        yield Told(result, read_run(offline), records)


def logged_at(told: Told) -> list[int]:
    steps = len(told.records)
    return sorted({*range(2, steps + 1, 2), steps})


def test_losses_and_rates_stand_at_their_steps(told: Told) -> None:
    rows = told.rows("train/loss")
    assert [row["_step"] for row in rows] == logged_at(told)
    losses = {one["step"]: one["loss"] for one in told.json["steps"]}
    assert {row["_step"]: row["train/loss"] for row in rows} == losses
    for row in rows:
        record = told.records[row["_step"] - 1]
        assert row["train/step"] == record.step == row["_step"]
        assert row["train/epoch"] == record.epoch
        assert row["train/grad_norm"] == record.gradient_norm
        assert row["train/perplexity"] == pytest.approx(math.exp(record.loss))
        first = [one.epoch for one in told.records].index(record.epoch)
        assert row["train/batch"] == record.step - first  # a batch a step
        rates = {k.rpartition("/")[2]: v for k, v in row.items() if "learning_rate" in k}
        assert rates == record.learning_rates
    groups = [{k for k in row if k.startswith("train/learning_rate/")} for row in rows]
    always = {f"train/learning_rate/{name}" for name in ("projector", "language_model_top", "head")}
    assert groups[0] == always
    assert groups[-1] == {*always, "train/learning_rate/audio_top"}


def test_speeds_are_of_the_steps_since_the_last_entry(told: Told) -> None:
    before = 0
    for row in told.rows("train/batch_time"):
        window = told.records[before : row["_step"]]
        before = row["_step"]
        wall = sum(one.wall for one in window)
        assert row["train/batch_time"] == pytest.approx(wall / len(window))
        for name, counted in (
            ("samples", sum(one.rows for one in window)),
            ("audio_seconds", sum(one.audio for one in window)),
            ("tokens", sum(one.tokens for one in window)),
        ):
            assert row[f"train/{name}_per_sec"] == pytest.approx(counted / wall)
    trained = told.json["plan"]["training"]
    assert sum(one.rows for one in told.records) == 3 * trained


def test_the_machine_is_looked_at_every_detailed_interval(told: Told) -> None:
    steps = len(told.records)
    rows = told.rows("system/cpu_percent")
    assert [row["_step"] for row in rows] == sorted({*range(3, steps + 1, 3), steps})
    for row in rows:
        assert 0 <= row["system/memory_percent"] <= 100
        assert row["system/process_memory_gib"] > 0.1
        assert row["system/process_threads"] >= 1


def test_a_phase_is_told_at_its_first_step(told: Told) -> None:
    first = 1 + max(one.step for one in told.records if one.phase == "B")
    rows = told.rows("training/strategy")
    shown = ("_step", "train/step", "train/epoch", "training/strategy", "training/strategy_switch")
    assert [tuple(row[name] for name in shown) for row in rows] == [
        (1, 1, 1, "B", 0),
        (first, first, 2, "A", 1),
    ]
    assert [row["training/audio_layers_unfrozen"] for row in rows] == [0, 1]
    numbered = {row["_step"]: row["training/strategy_number"] for row in told.rows("train/loss")}
    assert numbered == {step: 1 if step < first else 2 for step in numbered}
    assert told.json["switches"] == {"B": 1, "A": first}


def test_evaluations_and_epochs_are_those_of_run_json(told: Told) -> None:
    evaluations = {one["steps"]: one["evaluation"] for one in told.json["evaluations"]}
    rows = told.rows("eval/wer")
    assert [row["_step"] for row in rows] == list(evaluations)
    assert 4 in evaluations
    for row in rows:
        rates = evaluations[row["_step"]]
        assert [row[f"eval/{name}"] for name in ("loss", "wer", "cer")] == [
            rates[name] for name in ("loss", "wer", "cer")
        ]
        assert row["eval/perplexity"] == pytest.approx(math.exp(rates["loss"]))
        kinds = [row[f"eval/{kind}"] for kind in ("substitutions", "deletions", "insertions")]
        assert sum(kinds) == pytest.approx(rates["wer"])
        for domain, one in rates["domains"].items():
            assert [row[f"eval/{domain}/{name}"] for name in ("wer", "cer")] == [
                one["wer"], one["cer"],
            ]  # fmt: skip
    for row, epoch in zip(told.rows("epoch/wer"), told.json["epochs"], strict=True):
        assert (row["epoch"], row["_step"]) == (epoch["epoch"], epoch["steps"])
        assert row["epoch/train_loss"] == epoch["loss"]
        assert row["epoch/seconds"] == pytest.approx(epoch["seconds"], abs=1e-3)
        for name, key in (("eval_loss", "loss"), ("wer", "wer"), ("cer", "cer")):
            assert row[f"epoch/{name}"] == epoch["evaluation"][key]
    best = min(rates["wer"] for rates in evaluations.values())
    assert told.offline.summary["best_wer"] == best


def test_predictions_show_what_differs(told: Told) -> None:
    columns, rows = told.offline.table("eval/predictions")
    assert columns == [
        "epoch", "id", "domain", "wer", "reference", "hypothesis", "audio", "difference"
    ]  # fmt: skip
    assert len(rows) == 1  # num_predictions
    row = dict(zip(columns, rows[0], strict=True))
    assert row["id"] in told.json["plan"]["evaluation"]
    assert row["epoch"] == 3
    assert row["reference"] == row["reference"].lower()
    # Less what was put in it is the reference, less what was left out the hypothesis.
    for side, other, kept in (
        ("reference", r"{\+.*?\+}", "[-]"),
        ("hypothesis", r"\[-.*?-\]", "{+}"),
    ):
        left = re.sub(other, "", row["difference"])
        for mark in (kept[:2], kept[1:]):
            left = left.replace(mark, "")
        assert left.split() == row[side].split()
    assert len(told.rows("eval/predictions")) == len(told.json["evaluations"])


def test_what_was_heard_stands_beside_what_was_written(told: Told, manifest: Path) -> None:
    """The recording of the row, as `wandb.log_audio` asks for it, in W&B and in TensorBoard."""
    tables = [item for item in told.offline.artifacts if "evalpredictions" in item.name]
    assert tables, [item.name for item in told.offline.artifacts]
    (name,) = (name for name in tables[-1].files if name.endswith("table.json"))
    content = tables[-1].files[name]
    assert content is not None
    shown = json.loads(content.read_text())
    row = dict(zip(shown["columns"], shown["data"][0], strict=True))
    clip = tables[-1].files[row["audio"]["path"]]
    assert clip is not None
    (line,) = (json.loads(one) for one in manifest.read_text().splitlines() if row["id"] in one)
    samples, rate = soundfile.read(clip)
    assert (rate, len(samples) / rate) == (16000, pytest.approx(line["duration"], abs=0.01))
    assert open_board(told.out / "tensorboard").Tags()["audio"]


def test_the_kinds_of_errors_are_bars(told: Told) -> None:
    (name,) = [one for one in told.offline.metrics if one.startswith("charts/error_types")]
    columns, rows = told.offline.table(name)
    assert columns == ["label", "rate"]
    last = told.rows("eval/wer")[-1]
    kinds = ("substitutions", "deletions", "insertions")
    assert [list(row) for row in rows] == [[kind, last[f"eval/{kind}"]] for kind in kinds]


def test_curves_are_drawn_with_the_switches(told: Told) -> None:
    """The image is the one that the run's own figures make, with the phases marked."""
    steps, evaluations = told.json["steps"], told.json["evaluations"]
    at = [one["steps"] for one in evaluations]
    series = {
        "train": ([one["step"] for one in steps], [one["loss"] for one in steps]),
        "held out": (at, [one["evaluation"]["loss"] for one in evaluations]),
    }
    marks = {f"phase {name}": step for name, step in told.json["switches"].items()}
    assert set(marks) == {"phase B", "phase A"}
    image = told.offline.metrics["charts/loss_image"]
    drawn = np.asarray(Image.open(told.offline.folder / "files" / image["path"]).convert("RGB"))
    for some, same in ((marks, True), ({}, False)):
        made = line_image("Loss, nats a token", series, axis="step", marks=some)
        assert np.array_equal(drawn, made) is same
    # And W&B's own charts, from tables of the same figures.
    assert {"charts/loss_image", "charts/error_rates_image"} <= set(told.offline.metrics)
    (table,) = [name for name in told.offline.metrics if name.startswith("charts/loss_table")]
    columns, rows = told.offline.table(table)
    losses = [row for row in rows if "train" in row]
    assert len(losses) == len(steps), (columns, rows[:2])
    assert {"charts/loss_image", "charts/error_rates_image"} <= set(
        open_board(told.out / "tensorboard").Tags()["images"]
    )


def test_tensorboard_has_the_same_scalars(told: Told) -> None:
    ours, theirs = scalars(told.out / "tensorboard"), numbers(told.offline.history)
    assert ours.keys() == theirs.keys()
    for name, events in theirs.items():
        steps = [step for step, _ in events]
        # A name that is logged twice at a step is one value in W&B.
        assert sorted({step for step, _ in ours[name]}) == steps, name
        assert dict(ours[name]) == {s: pytest.approx(v, rel=1e-6) for s, v in events}, name
    assert texts(told.out / "tensorboard", "training/strategy") == ["B", "A"]


def test_every_chart_has_its_axis_and_its_summary(told: Told) -> None:
    """As W&B's records of the definitions say it; the summary holds the least."""
    summary, history = told.offline.summary, told.offline.history
    domain = next(iter(told.json["evaluations"][0]["evaluation"]["domains"]))
    for name in ("train/loss", "eval/loss", "eval/wer", "eval/cer", f"eval/{domain}/wer"):
        assert summary[name] == {"min": min(row[name] for row in history if name in row)}, name
    axes = {}
    (path,) = told.offline.folder.glob("*.wandb")
    for data in _records(path.read_bytes()):
        record = wandb_internal_pb2.Record.FromString(data)
        if record.WhichOneof("record_type") == "metric":
            axes[record.metric.name or record.metric.glob_name] = record.metric.step_metric
    for pattern in ("train/*", "eval/*", "training/*", "system/*", f"eval/{domain}/cer"):
        assert axes[pattern] == "train/step"
    assert axes["epoch/*"] == "epoch"


def test_the_config_says_what_the_run_is(told: Told) -> None:
    config = told.offline.config
    quality = {"coverage", "domains"}
    assert {k: v for k, v in config["phase0"].items() if k not in quality} == told.json["phase0"]
    assert config["phase0"]["coverage"]["p50"] == 0.95
    assert config["folder"] == "r"
    assert config["config"]["seed"] == 1
    assert config["plan"]["embeddings"] == "untied"
    run = told.offline
    assert (run.job_type, run.group, run.name) == ("train", "mine", "r")
    assert [phase["name"] for phase in config["plan"]["phases"]] == ["B", "A"]
    assert config["plan"]["excluded"] == 2  # their ids are in run.json
    assert config["architecture"]["audio"]["encoder_layers"] == 3
    assert {"cpus", "memory_gib", "gpus", "machine", "python"} == set(config["hardware"])
    tags = ["round2", "gradual-unfreezing", "qwen3-asr", "tiny", "1xCPU"]
    assert sorted(told.offline.tags) == sorted(tags)


def test_the_best_and_the_final_model_are_logged_with_what_they_are(told: Told) -> None:
    models = [item for item in told.offline.artifacts if item.type == "model"]
    best = (told.out / "best").resolve().name
    assert [item.aliases for item in models] == [
        sorted({"best", best, "latest"}),
        ["final", "latest"],
    ]
    rated = {one["checkpoint"]: one for one in told.json["evaluations"]}
    for item, name in zip(models, (best, "epoch-3"), strict=True):
        assert item.name == "round2-tiny-model"
        assert item.metadata == {
            "step": rated[name]["steps"],
            "epoch": rated[name]["epoch"],
            "wer": rated[name]["evaluation"]["wer"],
            "cer": rated[name]["evaluation"]["cer"],
            "report_digest": told.json["phase0"]["digest"],
            "dataset_fingerprint": told.json["phase0"]["dataset_fingerprint"],
            "run_id": told.offline.run_id,
        }
        assert "model.safetensors" in item.files
    logged = told.json["tracking"]
    assert (logged["run_id"], logged["mode"]) == (told.offline.run_id, "offline")
    assert {name: one["reference"] for name, one in logged["models"].items()} == {
        best: f"wandb-offline:{told.offline.run_id}/round2-tiny-model:{best}",
        "final": f"wandb-offline:{told.offline.run_id}/round2-tiny-model:final",
    }


def test_the_recipe_that_is_kept_can_be_run_again(told: Told) -> None:
    _, again = recipes.load(str(told.out / "recipe.yaml"))
    ran = told.json["config"]
    ran["wandb"]["enabled"] = None  # for whoever runs it to say
    assert again.model_dump(mode="json") == ran
    kept = told.offline.artifact("round2-tiny-config")
    assert kept.type == "config"
    staged = kept.files["recipe.yaml"]
    assert staged is not None
    assert staged.read_text() == (told.out / "recipe.yaml").read_text()


def test_the_log_has_a_line_for_each_event(told: Told) -> None:
    lines = told.lines
    assert all({"time", "level", "message"} <= line.keys() for line in lines)
    steps = [line for line in lines if line.get("event") == "step"]
    assert [line["loss"] for line in steps] == [one.loss for one in told.records]
    assert {line["level"] for line in steps} == {"DEBUG"}
    assert [line["phase"] for line in lines if line.get("event") == "phase"] == ["B", "A"]
    evaluations = [line for line in lines if line.get("event") == "evaluation"]
    assert {line["level"] for line in evaluations} == {"INFO"}
    assert [line["eval/wer"] for line in evaluations] == [
        one["evaluation"]["wer"] for one in told.json["evaluations"]
    ]
    assert lines[-1] | {"event": "end", "status": "finished"} == lines[-1]


def test_the_profile_is_told(told: Told) -> None:
    (line,) = [line for line in told.lines if line["message"].startswith("profile: ")]
    assert line["message"].endswith(f": {told.out / 'profile'}")
    assert (told.out / "profile" / "trace.json.gz").is_file()


def test_levels_choose_what_is_said_and_written(tmp_path: Path) -> None:
    said: list[str] = []
    with logs("levels", tmp_path, say=said.append, console="warning", file="info") as log:
        log.debug("a step")
        log.info("an epoch")
        log.warning("a leap")
    assert said == ["warning: a leap"]
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [line["message"] for line in lines] == ["an epoch", "a leap"]


def test_logs_are_rotated_by_count(tmp_path: Path) -> None:
    with logs("rotated", tmp_path, say=print, files=3, megabytes=0.001) as log:
        for number in range(60):
            log.debug("a line of some length", extra={"number": number})
    files = sorted(path.name for path in tmp_path.iterdir())
    assert files == ["log.jsonl", "log.jsonl.1", "log.jsonl.2"]
    last = json.loads((tmp_path / "log.jsonl").read_text().splitlines()[-1])
    assert last["number"] == 59


# What began from it


def test_a_checkpoint_of_an_earlier_run_is_an_input_of_the_next(
    told: Told, manifest: Path, report: Path, tmp_path: Path
) -> None:
    train(
        manifest, report, *SHORT, "phases.0.epochs=[1]", "phases.1.epochs=[2]",
        "model.tiny=null", f"model.pretrained={told.out / 'best'}", "wandb.log_model=none",
        "data.batch_seconds=60", "evaluation.every_steps=null",
        tracking={"enabled": True, "mode": "offline", "folder": tmp_path},
    )  # fmt: skip
    (folder,) = tmp_path.glob("wandb/offline-run-*")
    used = {use["reference"]: use["digest"] for use in read_sync_state(folder).uses}
    best = (told.out / "best").resolve().name
    logged = told.offline.artifact("round2-tiny-model")
    versions = [one for one in told.offline.artifacts if one.name == logged.name]
    digest = used[f"wandb-offline:{told.offline.run_id}/round2-tiny-model:{best}"]
    assert digest in {one.digest for one in versions if best in one.aliases}
    assert "model" not in {item.type for item in read_run(folder).artifacts}


# Stopped, and gone on with


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


# Events without a training


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


def test_alerts_of_an_offline_run_are_kept_for_the_sync(told: Told) -> None:
    complete = [one for one in told.offline.alerts if "complete" in one.title]
    assert [(one.title, one.level) for one in complete] == [
        ("round2-tiny: training complete", "INFO")
    ]


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
