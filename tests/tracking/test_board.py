"""TensorBoard's files, read back by its own reader."""

from __future__ import annotations

import io
import math
import time
import wave
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from asr_gate.tracking import Clip, Tracker
from tests.tracking.events import read_events, scalars, texts
from tests.tracking.isolation import (
    FAKE_KEY,
    in_a_subprocess,
    isolated_wandb,
)
from tests.tracking.offline import OfflineRun, read_run

ROOT = Path(__file__).parents[2]
TONE = (np.sin(np.arange(1600) / 16000 * 440 * 2 * np.pi) / 2).astype(np.float32)


def log_everything(tracker: Tracker) -> None:
    """A bit of each kind, as audit and training log it."""
    tracker.log_metrics({"phase0/total_samples": 120, "phase0/decision": "STOP"}, step=0)
    for step in (1, 2, 3):
        rates = {"audio": 1e-5, "text": 1e-4 / step}
        loss = float("nan") if step == 3 else 1 / step
        tracker.log_training_metrics(loss, rates, epoch=1, step=step, grad_norm=np.float32(2.5))
    tracker.log_metrics({"eval/wer": np.float64(0.25), "thawed": True, "none": None}, step=3)
    tracker.log_histogram("coverage", [1, 0, 3], [0.0, 0.5, 0.9, 1.0], step=3)
    columns, row = ["domain", "rate", "heard"], ["clean|noisy", 0.5, Clip(TONE, 16000)]
    tracker.log_table("worst", columns, [row, ["", None, None]], step=3)
    tracker.log_lines("charts/loss", "Loss", {"a": ([1, 2], [2.0, 1.0])}, axis="step", step=3)
    tracker.log_bars("charts/domains", "Domains", ["a", "b"], [0.5, 1.0], axis="share", step=3)
    tracker.alert("STOP", "12 % are of low quality", "WARN")


@dataclass(frozen=True)
class Both:
    run: OfflineRun
    events: Any
    said: list[str]


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    """The same, logged to an offline run and to TensorBoard."""
    folder = tmp_path_factory.mktemp("both")
    said: list[str] = []
    with isolated_wandb(folder):
        tracker = Tracker(
            enabled=True, mode="offline", tensorboard=folder / "board", say=said.append
        )
        with tracker:
            tracker.init(config={"seed": 7, "hf_token": "t" * 20})
            log_everything(tracker)
        assert tracker.run_path is not None
        yield Both(read_run(tracker.run_path), read_events(folder / "board"), said)


def test_scalars_are_those_of_the_offline_run(both: Both) -> None:
    logged: dict[str, list[tuple[int, float]]] = {}
    for row in both.run.history:
        for name, value in row.items():
            number = float("nan") if value == "NaN" else value
            if isinstance(number, (bool, int, float)) and not name.startswith("_"):
                logged.setdefault(name, []).append((row["_step"], float(number)))
    found = scalars(both.events)
    assert found.keys() == logged.keys()
    for name, points in logged.items():
        assert [step for step, _ in found[name]] == [step for step, _ in points]
        values = [value for _, value in points]
        assert [value for _, value in found[name]] == pytest.approx(values, nan_ok=True), name
    assert [step for step, _ in found["train/loss"]] == [1, 2, 3]
    assert math.isnan(found["train/loss"][-1][1])
    assert found["train/learning_rate/text"][1] == (2, pytest.approx(5e-5))


def test_texts_and_tables(both: Both) -> None:
    assert texts(both.events, "phase0/decision") == ["STOP"]
    (config,) = texts(both.events, "config")
    assert '"seed": 7' in config
    assert "t" * 20 not in config
    (table,) = texts(both.events, "worst")
    assert table.splitlines() == [
        "| domain | rate | heard |",
        "| --- | --- | --- |",
        "| clean\\|noisy | 0.5 | worst: 0 |",
        "|  |  |  |",
    ]
    assert texts(both.events, "alerts") == ["**STOP** (WARN): 12 % are of low quality"]


def test_a_histogram(both: Both) -> None:
    (event,) = both.events.Histograms("coverage")
    histogram = event.histogram_value
    assert (event.step, histogram.min, histogram.max, histogram.num) == (3, 0, 1, 4)
    assert list(histogram.bucket_limit) == [0.0, 0.5, 0.9, 1.0]
    assert list(histogram.bucket) == [0, 1, 0, 3]
    assert both.run.metrics["coverage"]["values"] == [1, 0, 3]
    assert both.run.metrics["coverage"]["bins"] == [0.0, 0.5, 0.9, 1.0]


def test_a_recording(both: Both) -> None:
    (event,) = both.events.Audio("worst/heard/0")
    with wave.open(io.BytesIO(event.encoded_audio_string)) as heard:
        assert (heard.getframerate(), heard.getnframes()) == (16000, 1600)
        samples = np.frombuffer(heard.readframes(1600), np.int16) / 32767
    assert np.abs(samples - TONE).max() < 1e-4


def test_charts_are_images_in_both(both: Both) -> None:
    from PIL import Image

    for name in ("charts/loss", "charts/domains"):
        (event,) = both.events.Images(f"{name}_image")
        shown = Image.open(io.BytesIO(event.encoded_image_string))
        assert (shown.size, event.step) == ((800, 450), 3)
        assert len(set(shown.convert("RGB").getdata())) > 10  # something is drawn
        logged = both.run.metrics[f"{name}_image"]
        assert (logged["_type"], logged["width"]) == ("image-file", 800)
        sent = Image.open(both.run.folder / "files" / logged["path"])
        assert list(sent.convert("RGB").getdata()) == list(shown.convert("RGB").getdata())


def test_nothing_is_said_but_where_the_run_lies(both: Both) -> None:
    (line,) = both.said
    assert "asr sync" in line


def test_what_an_earlier_start_logged_later_no_longer_counts(tmp_path: Path) -> None:
    for after, values in ((None, range(1, 7)), (4, range(5, 9))):
        with Tracker(tensorboard=tmp_path) as tracker:
            tracker.init(config={"seed": 7}, after=after)
            for step in values:
                value = step if after is None else -step
                tracker.log_metrics({"a": value}, step=step)
        time.sleep(1.1)  # TensorBoard orders files by the second in their names
    events = read_events(tmp_path)
    assert [value for _, value in scalars(events)["a"]] == [1, 2, 3, 4, -5, -6, -7, -8]
    assert len(texts(events, "config")) == 1


def test_what_cannot_be_heard_or_drawn_is_no_reason_to_fail(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    loud = np.full(800, 2, np.float32)
    clips = [np.zeros(0, np.float32), np.zeros(1, np.float32), loud, loud * np.nan]
    with Tracker(tensorboard=tmp_path) as tracker:
        tracker.init()
        tracker.log_table("clips", ["clip"], [[Clip(clip, 16000)] for clip in clips], step=1)
        # Names of domains are the user's: two dollars would be a formula, a letter may be unknown.
        labels = ["$a_{$", "中文", "שלום"]
        tracker.log_bars("bars", "$5 or $6", labels, [1, float("nan"), 3], axis="$", step=1)
        lines = {"$x^$": ([1, 2], [float("inf"), 1]), "empty": ([], [])}
        tracker.log_lines("lines", "t", lines, axis="step", marks={"$b^$": 1}, step=1)
        tracker.log_lines("nothing", "t", {}, axis="step", step=1)
    captured = capfd.readouterr()
    assert (captured.out, captured.err) == ("", "")
    tags = read_events(tmp_path).Tags()
    assert tags["audio"] == ["clips/clip/2", "clips/clip/3"]
    assert set(tags["images"]) == {"bars_image", "lines_image", "nothing_image"}


def test_a_folder_that_cannot_be_made_costs_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    said: list[str] = []
    with Tracker(tensorboard=tmp_path / "file" / "board", say=said.append) as tracker:
        tracker.init(config={"seed": 7})
        tracker.log_metrics({"a": 1}, step=1)
        assert not tracker.active
    (line,) = said
    assert line.startswith(f"{tmp_path}/file/board: TensorBoard's files cannot be made")


def test_a_disk_that_gets_full_costs_one_line(tmp_path: Path) -> None:
    code = """
import resource
from asr_gate.tracking import Tracker
with Tracker(tensorboard="board") as tracker:
    tracker.init()
    resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000))
    for step in range(2000):
        tracker.log_metrics({"a": step}, step=step)
print("done")
"""
    result = in_a_subprocess(tmp_path, "-c", code)
    assert (result.returncode, result.stdout) == (0, "done\n")
    (line,) = result.stderr.splitlines()
    assert line.startswith("board: TensorBoard's files end here")
    points = scalars(read_events(tmp_path / "board"))["a"]
    assert points == [(step, step) for step in range(len(points))]
    assert len(points) > 100


def test_switched_off_there_is_tensorboard_and_nothing_of_wandb(tmp_path: Path, both: Both) -> None:
    code = """
import sys
import psutil
from tests.tracking.test_board import log_everything
from asr_gate.tracking import Tracker
me = psutil.Process()
with Tracker(enabled=True, tensorboard="board") as tracker:
    tracker.init(config={"seed": 7})
    log_everything(tracker)
    assert tracker.log_artifact("no such file", "report", "name") == ""
    assert me.children(recursive=True) == []
    assert me.net_connections(kind="all") == []
assert not [name for name in sys.modules if name.partition(".")[0] == "wandb"]
"""
    login = {"WANDB_API_KEY": FAKE_KEY, "WANDB_BASE_URL": "http://127.0.0.1:9"}
    result = in_a_subprocess(tmp_path, "-c", code, WANDB_DISABLED="true", **login)
    assert (result.returncode, result.stdout) == (0, ""), result.stderr
    assert result.stderr == "W&B is off: WANDB_DISABLED is set.\n"
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    made = [path for path in files if "matplotlib" not in path.parts]  # its cache of fonts
    assert {path.parent for path in made} == {tmp_path / "board"}
    found, expected = scalars(read_events(tmp_path / "board")), scalars(both.events)
    assert found.keys() == expected.keys()
    for name, points in expected.items():
        assert np.array_equal(found[name], points, equal_nan=True), name
