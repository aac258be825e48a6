"""The tracker: what an offline run and TensorBoard hold, and what happens without them."""

from __future__ import annotations

import io
import json
import math
import os
import pty
import subprocess
import sys
import wave
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from asr_gate.tracking import Clip, Tracker, TrackerSettings, TrackingError, demo
from asr_gate.tracking.sync_state import read_sync_state
from tests.tracking.events import read_events, scalars, texts
from tests.tracking.isolation import (
    FAKE_KEY,
    ROOT,
    in_a_subprocess,
    inherited_wandb_variables,
    isolated_wandb,
    isolated_wandb_environment,
)
from tests.tracking.offline import OfflineRun, read_run

Client = pytest.mark.usefixtures("wandb_environment")
SECRET = "s3cr3t-value"
TONE = (np.sin(np.arange(1600) / 16000 * 440 * 2 * np.pi) / 2).astype(np.float32)


def offline(**settings: Any) -> Tracker:
    return Tracker(enabled=True, mode="offline", **{"say": lambda _: None, **settings})


def finished(tracker: Tracker) -> OfflineRun:
    assert tracker.run_path is not None
    return read_run(tracker.run_path)


# Some of everything, logged to both


@dataclass(frozen=True)
class Logged:
    run: OfflineRun
    events: Any
    references: dict[str, str]
    said: list[str]


@pytest.fixture(scope="module")
def logged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Logged]:
    folder = tmp_path_factory.mktemp("logged")
    (folder / "report.json").write_text("{}")
    (folder / "model").mkdir()
    (folder / "model" / "weights").write_text("w")
    said: list[str] = []
    with isolated_wandb(folder), pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOME_API_KEY", SECRET)
        patch.setattr(sys, "argv", ["asr", "train", f"wandb.notes={SECRET}"])
        tracker = offline(
            project="speech", entity="team", group="g", job_type="data_quality", tags="a, b",
            notes=f"key {SECRET}", num_predictions=2, tensorboard=folder / "tensorboard",
            say=said.append,
        )  # fmt: skip
        with tracker:
            config = {"seed": 7, "set": {1, 2}, "object": object(), "path": Path("x/y")}
            tracker.init(run_name="first", config={**config, "hf_token": "t", "login": SECRET})
            tracker.log_metrics({"phase0/total_samples": 120, "phase0/decision": "STOP"}, step=0)
            tracker.log_training_metrics(
                1.5, 1e-4, epoch=1, step=1, grad_norm=np.float32(2), batch_time=0.25
            )
            rates = {"audio": 1e-5, "text": 1e-4}
            tracker.log_training_metrics(float("nan"), rates, epoch=1.5, step=2)
            tracker.log_metrics({"eval/wer": np.float64(0.25), "new": True, "none": None}, step=3)
            tracker.log_system_metrics(step=3)
            tracker.log_histogram("coverage", [1, 0, 3], [0.0, 0.5, 0.9, 1.0], step=4)
            clips = [["clean|noisy", 0.5, Clip(TONE, 16000)], ["", "n/a", None]]
            tracker.log_table("worst", ["domain", "rate", "clip"], clips, step=4)
            lines = {"a": ([1, 2], [2.0, 1.0])}
            tracker.log_lines("charts/loss", "Loss", lines, axis="step", marks={"B": 1}, step=5)
            tracker.log_bars("charts/rates", "Rates", ["x", "y"], [1, 2], axis="share", step=6)
            predictions = [
                {"id": n, "reference": "the red car", "hypothesis": hypothesis}
                for n, hypothesis in enumerate(["the read car", "the red car", "never logged"])
            ]
            tracker.log_predictions(iter(predictions), step=7)
            tracker.log_predictions([], step=8)
            for step in (4, 3):
                tracker.log_metrics({"late": step}, step=step)
            for level in ("INFO", "WARN", "ERROR"):
                tracker.alert(f"{level} {SECRET}", f"key {SECRET}", level)
            paths, metadata = [folder / "report.json", folder / "model"], {"digest": "abc"}
            references = {
                "report": tracker.log_artifact(
                    paths, "report", "my-report", aliases=["stop"], metadata=metadata
                ),
                "model": tracker.log_model_artifact(folder / "model", "my-model", "best"),
            }
            assert tracker.use_artifact("wandb:team/speech/my-report:stop", "abc") is False
            tracker.update_config({"phase0": {"decision": "STOP"}, "seed": 8})
            tracker.log_summary({"best": np.float32(0.5), "text": SECRET})
            assert tracker.active
        yield Logged(finished(tracker), read_events(folder / "tensorboard"), references, said)


def row(run: OfflineRun, step: int) -> dict[str, Any]:
    (found,) = (row for row in run.history if row["_step"] == step)
    return {name: value for name, value in found.items() if not name.startswith("_")}


def test_metrics_have_their_names_and_steps(logged: Logged) -> None:
    assert row(logged.run, 0) == {"phase0/total_samples": 120, "phase0/decision": "STOP"}
    assert row(logged.run, 1) == {
        "train/loss": 1.5, "train/learning_rate": 1e-4, "train/epoch": 1, "train/step": 1,
        "train/grad_norm": 2.0, "train/batch_time": 0.25,
    }  # fmt: skip
    second = row(logged.run, 2)
    assert math.isnan(second.pop("train/loss"))
    assert second == {
        "train/learning_rate/audio": 1e-5, "train/epoch": 1.5,
        "train/learning_rate/text": 1e-4, "train/step": 2,
    }  # fmt: skip
    system = {name: value for name, value in row(logged.run, 3).items() if "system/" in name}
    assert {name for name in system if "gpu" not in name} == {
        "system/cpu_percent", "system/memory_percent", "system/process_cpu_percent",
        "system/process_memory_gib", "system/process_threads",
    }  # fmt: skip
    assert 0 < system["system/memory_percent"] <= 100


def test_tensorboard_has_the_same_scalars(logged: Logged) -> None:
    expected: dict[str, list[tuple[int, float]]] = {}
    for logged_row in logged.run.history:
        for name, value in logged_row.items():
            if isinstance(value, (bool, int, float)) and not name.startswith("_"):
                expected.setdefault(name, []).append((logged_row["_step"], float(value)))
    found = scalars(logged.events)
    assert found.pop("late") == [(4, 4), (3, 3)]  # W&B keeps no row whose step is past
    assert found.keys() == expected.keys()
    for name, points in expected.items():
        assert np.allclose(found[name], points, equal_nan=True), name


def test_the_run_says_what_it_is(logged: Logged) -> None:
    run = logged.run
    assert (run.name, run.project, run.entity) == ("first", "speech", "team")
    assert (run.group, run.job_type, run.tags) == ("g", "data_quality", ["a", "b"])
    assert (run.config["seed"], run.config["set"], run.config["path"]) == (8, [1, 2], "x/y")
    assert run.config["object"].startswith("<object object")
    assert run.config["phase0"] == {"decision": "STOP"}
    assert (run.summary["best"], run.exit_code) == (0.5, 0)
    assert '"seed": 7' in texts(logged.events, "config")[0]
    assert texts(logged.events, "phase0/decision") == ["STOP"]
    offline_line, late_line = logged.said
    assert offline_line.endswith(f"asr sync {run.folder}")
    assert "step 4" in late_line


def test_a_table_holds_text_numbers_and_audio(logged: Logged) -> None:
    # The table's own file names the audio files; the artifact beside it has them.
    files = logged.run.artifact(f"run-{logged.run.run_id}-worst").files
    path = files["worst.table.json"]
    assert path is not None
    columns, (first, second) = (json.loads(path.read_text())[key] for key in ("columns", "data"))
    assert columns == ["domain", "rate", "clip"]
    assert (first[:2], second) == (["clean|noisy", 0.5], ["", "n/a", None])
    clip = files[first[2]["path"]]
    assert clip is not None
    (event,) = logged.events.Audio("worst/clip/0")
    for content in (clip.read_bytes(), event.encoded_audio_string):
        with wave.open(io.BytesIO(content)) as audio:
            assert (audio.getframerate(), audio.getnframes()) == (16000, 1600)
            samples = np.frombuffer(audio.readframes(1600), np.int16) / 32767
        assert np.abs(samples - TONE).max() < 1e-4
    assert texts(logged.events, "worst")[0].splitlines() == [
        "| domain | rate | clip |",
        "| --- | --- | --- |",
        "| clean\\|noisy | 0.5 | worst: 0 |",
        "|  | n/a |  |",
    ]


def test_a_histogram_has_its_bins(logged: Logged) -> None:
    assert logged.run.metrics["coverage"]["values"] == [1, 0, 3]
    assert logged.run.metrics["coverage"]["bins"] == [0.0, 0.5, 0.9, 1.0]
    (event,) = logged.events.Histograms("coverage")
    histogram = event.histogram_value
    assert (event.step, histogram.min, histogram.max, histogram.num) == (4, 0, 1, 4)
    assert list(histogram.bucket_limit) == [0.0, 0.5, 0.9, 1.0]
    assert list(histogram.bucket) == [0, 1, 0, 3]


def test_charts_are_charts_of_wandb(logged: Logged) -> None:
    for step, name in ((5, "charts/loss"), (6, "charts/rates")):
        assert f"{name}_table" in row(logged.run, step)
        assert logged.run.config["_wandb"]["visualize"][name]["panel_type"] == "Vega2"
    assert logged.run.table("charts/rates_table") == (["label", "share"], [["x", 1], ["y", 2]])


def test_lines_are_an_image_in_both(logged: Logged) -> None:
    from PIL import Image

    (event,) = logged.events.Images("charts/loss_image")
    shown = Image.open(io.BytesIO(event.encoded_image_string)).convert("RGB")
    assert (shown.size, event.step) == ((800, 450), 5)
    assert len(set(shown.getdata())) > 10  # something is drawn
    path = row(logged.run, 5)["charts/loss_image"]["path"]
    sent = Image.open(logged.run.folder / "files" / path)
    assert list(sent.convert("RGB").getdata()) == list(shown.getdata())


def test_predictions_are_as_many_as_wanted_with_their_differences(logged: Logged) -> None:
    assert logged.run.table("eval/predictions") == (
        ["id", "reference", "hypothesis", "difference"],
        [
            [0, "the red car", "the read car", "the [-red-] {+read+} car"],
            [1, "the red car", "the red car", "the red car"],
        ],
    )
    assert not [row for row in logged.run.history if row["_step"] == 8]


def test_artifacts_hold_their_files_aliases_and_metadata(logged: Logged) -> None:
    run = logged.run
    assert logged.references == {
        "report": f"wandb-offline:{run.run_id}/my-report:stop",
        "model": f"wandb-offline:{run.run_id}/my-model:best",
    }
    report, model = run.artifact("my-report"), run.artifact("my-model")
    assert (report.type, report.aliases) == ("report", ["latest", "stop"])
    assert (set(report.files), report.metadata) == ({"report.json", "weights"}, {"digest": "abc"})
    assert (model.type, model.aliases) == ("model", ["best", "latest"])
    assert (set(model.files), model.metadata) == ({"weights"}, {"run_id": run.run_id})
    state = read_sync_state(run.folder)
    assert (state.state, set(state.artifacts)) == ("unsent", {"my-report:stop", "my-model:best"})
    assert state.uses == [{"reference": "wandb:team/speech/my-report:stop", "digest": "abc"}]


def test_alerts_arrive_and_no_secret_is_kept(logged: Logged) -> None:
    expected = [(f"{level} [hidden]", "key [hidden]", level) for level in ("INFO", "WARN", "ERROR")]
    assert [(one.title, one.text, one.level) for one in logged.run.alerts] == expected
    assert texts(logged.events, "alerts") == [f"**{a}** ({c}): {b}" for a, b, c in expected]
    assert (logged.run.notes, logged.run.summary["text"]) == ("key [hidden]", "[hidden]")
    assert logged.run.config["hf_token"] == "[hidden]"
    files = [
        *logged.run.folder.rglob("*"),
        *(logged.run.folder.parents[1] / "tensorboard").iterdir(),
    ]
    for path in files:
        assert path.is_dir() or SECRET.encode() not in path.read_bytes(), path


def test_the_demo_shows_everything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with isolated_wandb(tmp_path):
        demo.main()
    (folder,) = (tmp_path / "tracking-demo" / "wandb").glob("offline-run-*")
    run = read_run(folder)
    assert {"mock-notes", "mock-model"} <= {item.name for item in run.artifacts}
    assert {"train/loss", "eval/wer", "eval/predictions", "coverage", "clips", "charts/loss_image",
            "gradients/weight", "system/cpu_percent"} <= run.metrics.keys()  # fmt: skip
    assert len(run.alerts) == 1
    assert scalars(read_events(tmp_path / "tracking-demo" / "tensorboard"))["eval/wer"]


# Not enabled, or switched off


def test_not_enabled_costs_nothing(tmp_path: Path) -> None:
    code = """
import sys
from asr_gate.tracking import Clip, Tracker, TrackerSettings
with Tracker(TrackerSettings.resolve()) as tracker:
    tracker.init(run_name="a", config={"a": object()})
    tracker.define("a", axis="b", best="min")
    tracker.log_metrics({"a": 1}, step=1)
    tracker.make_up([{"train/step": 1}])
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
    assert (tracker.mode, tracker.run_id, tracker.run_path) == ("disabled", "", None)
    assert not tracker.active and tracker.digest_of("a") == ""
heavy = {"wandb", "torch", "tensorboard", "matplotlib", "numpy", "psutil", "pandas"}
assert not heavy & set(sys.modules), heavy & set(sys.modules)
"""
    result = in_a_subprocess(tmp_path, "-c", code)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize(
    ("variable", "value"), [("WANDB_DISABLED", "true"), ("WANDB_MODE", "disabled")]
)
def test_switched_off_starts_nothing_of_wandb(tmp_path: Path, variable: str, value: str) -> None:
    code = """
import sys
from asr_gate.tracking import Tracker
with Tracker(enabled=True) as tracker:
    tracker.init(config={"seed": 7})
    tracker.log_metrics({"a": 1})
    assert tracker.log_artifact("no such file", "report", "name") == ""
    assert tracker.mode == "disabled"
    import psutil
    assert psutil.Process().children(recursive=True) == []
    assert psutil.Process().net_connections(kind="all") == []
assert not [name for name in sys.modules if name.partition(".")[0] == "wandb"]
"""
    login = {"WANDB_API_KEY": FAKE_KEY, "WANDB_BASE_URL": "http://127.0.0.1:9"}
    result = in_a_subprocess(tmp_path, "-c", code, **{variable: value}, **login)
    assert result.returncode == 0, result.stderr
    (line,) = result.stderr.splitlines()
    assert variable in line
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_client_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    for call in (Tracker.check, Tracker.init):
        with pytest.raises(TrackingError, match=r"asr-gate\[wandb\]"):
            call(Tracker(TrackerSettings(enabled=True)))
    Tracker(TrackerSettings(enabled=True, mode="disabled")).check()
    Tracker().check()


def test_out_of_turn() -> None:
    tracker = Tracker(TrackerSettings(enabled=True, mode="disabled"), say=lambda _: None)
    with pytest.raises(RuntimeError, match="before init"):
        tracker.log_metrics({"a": 1})
    tracker.init()
    with pytest.raises(RuntimeError, match="before"):
        tracker.init()
    tracker.finish()
    tracker.finish()
    with pytest.raises(RuntimeError, match="after finish"):
        tracker.log_metrics({"a": 1})


# Settings and bad input


def test_keywords_beat_the_environment_and_disabled_beats_both(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
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


@Client
def test_bad_input_is_one_line_and_the_run_goes_on(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a")
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "a.txt").write_text("b")
    one = tmp_path / "a.txt"
    with offline() as tracker:
        tracker.init()
        for path, name, alias, named in (
            (tmp_path / "missing", "name", "x", "missing does not exist"),
            ([one, tmp_path / "b" / "a.txt"], "name", "x", "a.txt"),
            (one, "bad/name", "x", "bad/name"),
            (one, "name", "a:b", "alias 'a:b'"),
            (one, "name", "a/b", "alias"),
            (one, "name", "", "alias"),
        ):
            with pytest.raises(TrackingError) as caught:
                tracker.log_artifact(path, "report", name, aliases=[alias])  # type: ignore[arg-type]
            assert named in str(caught.value)
            assert "\n" not in str(caught.value)
        with pytest.raises(TrackingError, match="no address"):
            tracker.use_reference("nowhere", "model", "base")
        tracker.use_reference("https://example.org/model", "model", "base", {"revision": "main"})
        with pytest.raises(TrackingError, match="loud"):
            tracker.alert("a", "b", "loud")
    assert [item.name for item in finished(tracker).artifacts] == ["base"]


@Client
@pytest.mark.parametrize(("error", "code"), [(ValueError("x"), 1), (SystemExit(0), 0)])
def test_an_exception_marks_the_run_as_failed(error: BaseException, code: int) -> None:
    tracker = offline()
    with pytest.raises(type(error)), tracker:
        tracker.init()
        raise error
    assert finished(tracker).exit_code == code


def test_a_setting_that_the_client_refuses_is_named(
    fresh_client: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_HEARTBEAT_SECONDS", "often")
    with pytest.raises(TrackingError, match="WANDB_HEARTBEAT_SECONDS") as caught:
        offline().init()
    assert "\n" not in str(caught.value)


@Client
def test_a_folder_that_cannot_be_written_does_not_stop_the_work(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    said: list[str] = []
    with offline(folder=tmp_path / "file", say=said.append) as tracker:
        tracker.init()
        tracker.log_metrics({"a": 1})
    assert len(said) == 1


def test_no_login_goes_offline_without_a_prompt_on_a_terminal(tmp_path: Path) -> None:
    code = """
from asr_gate.tracking import Tracker
with Tracker(enabled=True) as tracker:
    tracker.init()
"""
    environment = {k: v for k, v in os.environ.items() if k not in inherited_wandb_variables()}
    environment |= isolated_wandb_environment(tmp_path) | {"PYTHONPATH": str(ROOT)}
    ours, theirs = pty.openpty()
    try:
        result = subprocess.run(
            [sys.executable, "-c", code], cwd=tmp_path, env=environment, stdin=theirs,
            stdout=theirs, stderr=theirs, timeout=60,
        )  # fmt: skip
        (shown,) = os.read(ours, 65536).decode().strip().splitlines()
    finally:
        os.close(ours)
        os.close(theirs)
    assert result.returncode == 0
    assert "no login was found" in shown
    assert "asr sync wandb/offline-run-" in shown


def test_a_key_that_is_not_usable_goes_offline_and_is_not_shown(
    fresh_client: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_API_KEY", "tooshort")
    said: list[str] = []
    with Tracker(enabled=True, say=said.append) as tracker:
        tracker.init()
        assert tracker.mode == "offline"
    (line,) = said
    assert "login is unusable" in line
    assert "tooshort" not in line
