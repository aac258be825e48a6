"""The tracker by itself, as a script of one's own uses it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil
import pytest

from asr_gate.tracking import Clip, Tracker, TrackerSettings, TrackingError, demo
from tests.tracking.events import read_events, scalars, texts
from tests.tracking.isolation import (
    in_a_subprocess,
    isolated_wandb,
)
from tests.tracking.offline import OfflineRun, read_run

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Logged:
    run: OfflineRun
    references: dict[str, str]
    said: list[str]


@pytest.fixture(scope="module")
def logged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Logged]:
    """An offline run without TensorBoard, to which a script logged a bit of each kind."""
    folder = tmp_path_factory.mktemp("script")
    (folder / "report.json").write_text("{}")
    (folder / "model").mkdir()
    (folder / "model" / "weights").write_text("w")
    said: list[str] = []
    with isolated_wandb(folder) as environment, pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOME_API_KEY", "s3cr3t-value")
        assert environment["WANDB_DIR"] == str(folder)
        tracker = Tracker(
            enabled=True,
            mode="offline",
            project="speech",
            tags=["a", "b"],
            num_predictions=2,
            say=said.append,
        )
        with tracker:
            tracker.init(run_name="first", config={"seed": 7, "odd": {1, 2}, "any": object()})
            tracker.log_training_metrics(
                1.5, 1e-4, epoch=1, step=1, grad_norm=2.0, batch_time=0.25, tokens_per_sec=80.0
            )
            rates = {"audio": 1e-5, "text": 1e-4}
            tracker.log_training_metrics(loss=1.0, learning_rate=rates, epoch=1.5, step=2)
            tracker.log_system_metrics(step=3)
            clips = [["u1", Clip(np.zeros(80), 8000)], ["u2", None]]
            tracker.log_table("clips", ["id", "clip"], clips, step=4)
            mixed = [["a", 1.5, None], ["b", "n/a", "x"]]
            tracker.log_table("mixed", ["name", "rate", "note"], mixed, step=4)
            tracker.log_lines(
                "charts/loss", "Loss", {"a": ([1, 2], [2.0, 1.0])}, axis="step", marks={"B": 1},
                step=5,
            )  # fmt: skip
            tracker.log_bars("charts/rates", "Rates", ["x", "y"], [1, 2], axis="share", step=6)
            predictions = [
                {"id": n, "reference": "the red car", "hypothesis": heard}
                for n, heard in enumerate(["the read car", "the red car", "never logged"])
            ]
            tracker.log_predictions(iter(predictions), step=7)
            tracker.log_predictions([], step=8)
            for level in ("INFO", "WARN", "ERROR"):
                tracker.alert(f"{level} s3cr3t-value", "key s3cr3t-value", level)
            references = {
                "report": tracker.log_artifact(folder / "report.json", "report", "my-report"),
                "model": tracker.log_model_artifact(folder / "model", "my-model", "best"),
            }
            tracker.log_summary({"best": np.float32(0.5), "text": "s3cr3t-value"})
        assert tracker.run_path is not None
        yield Logged(read_run(tracker.run_path), references, said)


def row(run: OfflineRun, step: int) -> dict[str, object]:
    (found,) = (row for row in run.history if row["_step"] == step)
    return {name: value for name, value in found.items() if not name.startswith("_")}


def test_training_metrics_by_their_names(logged: Logged) -> None:
    assert row(logged.run, 1) == {
        "train/loss": 1.5,
        "train/learning_rate": 1e-4,
        "train/epoch": 1,
        "train/step": 1,
        "train/grad_norm": 2.0,
        "train/batch_time": 0.25,
        "train/tokens_per_sec": 80.0,
    }
    assert row(logged.run, 2) == {
        "train/loss": 1.0,
        "train/learning_rate/audio": 1e-5,
        "train/learning_rate/text": 1e-4,
        "train/epoch": 1.5,
        "train/step": 2,
    }


def test_system_metrics_by_their_names(logged: Logged) -> None:
    found = row(logged.run, 3)
    assert {name for name in found if "gpu" not in name} == {
        "system/cpu_percent",
        "system/memory_percent",
        "system/process_cpu_percent",
        "system/process_memory_gib",
        "system/process_threads",
    }
    memory = psutil.virtual_memory().total / 2**30
    assert 0 < float(str(found["system/process_memory_gib"])) < memory
    assert 0 < float(str(found["system/memory_percent"])) <= 100


def test_a_table_with_a_recording(logged: Logged) -> None:
    # The file of a table names media alone; the artifact beside it has them.
    files = logged.run.artifact(f"run-{logged.run.run_id}-clips").files
    path = files["clips.table.json"]
    assert path is not None
    table = json.loads(path.read_text())
    assert table["columns"] == ["id", "clip"]
    types = table["column_types"]["params"]["type_map"]["clip"]["params"]["allowed_types"]
    assert {"wb_type": "audio-file"} in types
    (audio, none) = (row[1] for row in table["data"])
    assert (audio["_type"], none) == ("audio-file", None)
    heard = files[audio["path"]]
    assert heard is not None
    assert heard.read_bytes()[:4] == b"RIFF"


def test_a_table_of_mixed_columns(logged: Logged) -> None:
    rows = [["a", 1.5, None], ["b", "n/a", "x"]]
    assert logged.run.table("mixed") == (["name", "rate", "note"], rows)


def test_charts_of_wandb_and_images(logged: Logged) -> None:
    for step, name in ((5, "charts/loss"), (6, "charts/rates")):
        found = row(logged.run, step)
        assert found.keys() == {f"{name}_image", f"{name}_table"}
        assert logged.run.config["_wandb"]["visualize"][name]["panel_type"] == "Vega2"
        image = found[f"{name}_image"]
        assert isinstance(image, dict)
        assert (logged.run.folder / "files" / image["path"]).stat().st_size > 1000
    columns, rows = logged.run.table("charts/rates_table")
    assert (columns, rows) == (["label", "share"], [["x", 1], ["y", 2]])


def test_predictions_as_many_as_wanted_with_their_differences(logged: Logged) -> None:
    assert logged.run.table("eval/predictions") == (
        ["id", "reference", "hypothesis", "difference"],
        [
            [0, "the red car", "the read car", "the [-red-] {+read+} car"],
            [1, "the red car", "the red car", "the red car"],
        ],
    )
    assert not [row for row in logged.run.history if row["_step"] == 8]


def test_alerts_of_each_level_without_secrets(logged: Logged) -> None:
    assert [(a.title, a.text, a.level) for a in logged.run.alerts] == [
        (f"{level} [hidden]", "key [hidden]", level) for level in ("INFO", "WARN", "ERROR")
    ]
    assert logged.run.summary["text"] == "[hidden]"
    for path in logged.run.folder.rglob("*"):
        assert path.is_dir() or b"s3cr3t-value" not in path.read_bytes(), path


def test_artifacts_and_settings(logged: Logged) -> None:
    run = logged.run
    assert logged.references == {
        "report": f"wandb-offline:{run.run_id}/my-report:latest",
        "model": f"wandb-offline:{run.run_id}/my-model:best",
    }
    report, model = run.artifact("my-report"), run.artifact("my-model")
    assert (report.type, list(report.files)) == ("report", ["report.json"])
    assert (model.type, model.aliases, list(model.files)) == (
        "model",
        ["best", "latest"],
        ["weights"],
    )
    assert model.metadata == {"run_id": run.run_id}
    assert (run.name, run.project, run.tags) == ("first", "speech", ["a", "b"])
    assert (run.config["seed"], run.config["odd"]) == (7, [1, 2])
    assert run.config["any"].startswith("<object object")
    assert (run.summary["best"], run.exit_code) == (0.5, 0)
    assert len(logged.said) == 1


def test_what_wandb_would_refuse_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with isolated_wandb(tmp_path), Tracker(enabled=True, mode="offline", say=print) as tracker:
        tracker.init()
        for alias in ("a:b", "a/b", ""):
            with pytest.raises(TrackingError, match="alias"):
                tracker.log_artifact(tmp_path / "file", "report", "name", aliases=[alias])
        with pytest.raises(TrackingError, match="no address"):
            tracker.use_reference("nowhere", "model", "base")
        tracker.use_reference("https://example.org/model", "model", "base", {"revision": "main"})
        with pytest.raises(TrackingError, match="no level loud"):
            tracker.alert("a", "b", "loud")
    assert tracker.run_path is not None
    assert [item.name for item in read_run(tracker.run_path).artifacts] == ["base"]


def test_predictions_switched_off_and_none_at_all(tmp_path: Path) -> None:
    with Tracker(log_predictions=False, tensorboard=tmp_path) as tracker:
        tracker.init()
        tracker.log_predictions([{"reference": "a", "hypothesis": "b"}])
    assert read_events(tmp_path).Tags()["tensors"] == []


def test_without_wandb_there_is_tensorboard(tmp_path: Path) -> None:
    with Tracker(tensorboard=tmp_path) as tracker:
        tracker.init()
        tracker.log_training_metrics(1.5, 1e-4, epoch=1, step=1)
        tracker.log_predictions([{"reference": "a b", "hypothesis": "a c"}], step=1)
        assert tracker.active
        assert (tracker.mode, tracker.run_id) == ("disabled", "")
    events = read_events(tmp_path)
    assert scalars(events)["train/loss"] == [(1, 1.5)]
    assert "a [-b-] {+c+}" in texts(events, "eval/predictions")[0]


def test_the_environment_is_heeded_and_keywords_beat_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_PROJECT", "theirs")
    settings = Tracker(enabled=True, project="mine", tags="a, b").settings
    assert (settings.mode, settings.project, settings.tags) == ("offline", "mine", ("a", "b"))
    given = TrackerSettings(enabled=True, project="mine")
    assert Tracker(given).settings is given
    assert Tracker(given, project="other").settings.mode == "online"
    monkeypatch.setenv("WANDB_DISABLED", "true")
    assert Tracker(given).settings.mode == "disabled"
    assert Tracker(enabled=True, mode="online").settings.mode == "disabled"


@pytest.mark.parametrize("given", [{"tags": 5}, {"tags": [[]]}, {"watch": True}, {"projct": "x"}])
def test_keywords_that_do_not_fit(given: dict[str, object]) -> None:
    with pytest.raises(TrackingError, match=next(iter(given))) as caught:
        Tracker(**given)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)


def test_not_enabled_costs_nothing(tmp_path: Path) -> None:
    code = """
import sys
from asr_gate.tracking import Clip, Tracker
with Tracker(enabled=False) as tracker:
    tracker.init(run_name="a", config={"a": object()})
    tracker.define("a", axis="b", best="min")
    tracker.log_metrics({"a": 1}, step=1)
    tracker.log_training_metrics(1.0, 1e-3, 1, 1)
    tracker.log_system_metrics()
    tracker.log_summary({"a": 1})
    tracker.log_histogram("h", [1], [0, 1])
    tracker.log_table("t", ["a"], [[Clip(None, 1)]])
    tracker.log_predictions([{"reference": "a", "hypothesis": "b"}])
    tracker.log_lines("l", "t", {"a": ([1], [2])}, axis="x")
    tracker.log_bars("b", "t", ["a"], [1], axis="x")
    tracker.watch_model(None, every=1)
    tracker.alert("a", "b")
    tracker.update_config({"a": 1})
    assert tracker.log_artifact("none", "report", "name") == ""
    assert tracker.log_model_artifact("none", "name", ["best"]) == ""
    assert tracker.use_artifact("wandb:a/b/c:d") is False
    tracker.use_reference("nowhere", "model", "name")
    assert not tracker.active
heavy = {"wandb", "torch", "tensorboard", "matplotlib", "numpy", "psutil", "pandas"}
assert not heavy & set(sys.modules), heavy & set(sys.modules)
"""
    result = in_a_subprocess(tmp_path, "-c", code)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_the_demo_leaves_what_it_says(tmp_path: Path) -> None:
    result = in_a_subprocess(tmp_path, "-m", "asr_gate.tracking.demo")
    assert result.returncode == 0, result.stderr
    assert result.stdout == "TensorBoard: tensorboard --logdir tracking-demo/tensorboard\n"
    (line,) = result.stderr.splitlines()
    assert "asr sync tracking-demo/wandb/offline-run-" in line
    with isolated_wandb(tmp_path):
        demo.main(tmp_path / "tracking-demo")  # a second time over the first
    folders = sorted((tmp_path / "tracking-demo" / "wandb").glob("offline-run-*"))
    assert len(folders) == 2
    run = read_run(folders[0])
    assert (run.project, run.name, run.tags) == ("tracking-demo", "mock", ["demo"])
    assert {"mock-notes", "mock-model"} <= {item.name for item in run.artifacts}
    assert run.artifact("mock-model").aliases == ["final", "latest"]
    assert {"train/loss", "eval/wer", "eval/predictions", "coverage", "clips", "charts/loss_image",
            "gradients/weight", "system/cpu_percent"} <= run.metrics.keys()  # fmt: skip
    assert [alert.title for alert in run.alerts] == ["mock: training complete"]
    assert json.loads((folders[0] / "asr.json").read_text())["state"] == "unsent"
    events = read_events(tmp_path / "tracking-demo" / "tensorboard")
    assert scalars(events)["training/strategy_switch"][-1] == (21, 1)
