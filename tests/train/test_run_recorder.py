"""What a whole training tells: its metrics, events, tables, drawings, models and log."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from PIL import Image
from wandb.proto import wandb_internal_pb2

from asr_gate.tracking.charts import line_image
from asr_gate.tracking.logs import logs
from asr_gate.tracking.sync_state import read_sync_state
from asr_gate.train import recipes, run
from asr_gate.train.loop.events import StepRecord
from asr_gate.train.observe.run_recorder import RunRecorder
from tests.board import numbers, open_board, scalars, texts
from tests.tracking.isolation import isolated_wandb
from tests.tracking.offline import OfflineRun, _records, read_run
from tests.train.trainings import content, train

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


def test_alerts_of_an_offline_run_are_kept_for_the_sync(told: Told) -> None:
    complete = [one for one in told.offline.alerts if "complete" in one.title]
    assert [(one.title, one.level) for one in complete] == [
        ("round2-tiny: training complete", "INFO")
    ]


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
