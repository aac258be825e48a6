"""TensorBoard's files by themselves; `test_tracker` has them beside a W&B run."""

from __future__ import annotations

import resource
import time
from pathlib import Path

import numpy as np
import pytest

from asr_gate.tracking import Clip, Tracker
from tests.tracking.events import read_events, scalars, texts


def test_without_wandb_there_is_tensorboard(tmp_path: Path) -> None:
    with Tracker(tensorboard=tmp_path) as tracker:
        tracker.init()
        tracker.log_training_metrics(1.5, 1e-4, epoch=1, step=1)
        tracker.log_predictions([{"reference": "a b", "hypothesis": "a c"}])
        assert (tracker.active, tracker.mode, tracker.run_id) == (True, "disabled", "")
    with Tracker(log_predictions=False, tensorboard=tmp_path / "none") as tracker:
        tracker.init()
        tracker.log_predictions([{"reference": "a", "hypothesis": "b"}])
    events = read_events(tmp_path)
    assert scalars(events)["train/loss"] == [(1, 1.5)]
    assert "a [-b-] {+c+}" in texts(events, "eval/predictions")[0]
    assert read_events(tmp_path / "none").Tags()["tensors"] == []


def test_a_resumed_run_hides_later_entries_of_the_earlier_start(tmp_path: Path) -> None:
    for after, values in ((None, range(1, 7)), (4, range(5, 9))):
        with Tracker(tensorboard=tmp_path) as tracker:
            tracker.init(config={"seed": 7}, after=after)
            for step in values:
                tracker.log_metrics({"a": step if after is None else -step}, step=step)
        time.sleep(1.1)  # TensorBoard orders files by the second in their names
    events = read_events(tmp_path)
    assert [value for _, value in scalars(events)["a"]] == [1, 2, 3, 4, -5, -6, -7, -8]
    assert len(texts(events, "config")) == 1


def test_odd_audio_labels_and_numbers_do_not_fail(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    loud = np.full(800, 2, np.float32)
    clips = [np.zeros(0, np.float32), np.zeros(1, np.float32), loud, loud * np.nan]
    with Tracker(tensorboard=tmp_path) as tracker:
        tracker.init()
        tracker.log_table("clips", ["clip"], [[Clip(clip, 16000)] for clip in clips], step=1)
        # Two dollars would be a formula, a letter may be unknown to the font.
        lines = {"$x^$": ([1, 2], [float("inf"), 1]), "empty": ([], []), "中文": ([1], [1])}
        tracker.log_lines("lines", "t", lines, axis="step", marks={"$b^$": 1}, step=1)
        tracker.log_lines("nothing", "t", {}, axis="step", step=1)
    captured = capfd.readouterr()
    assert (captured.out, captured.err) == ("", "")
    tags = read_events(tmp_path).Tags()
    assert tags["audio"] == ["clips/clip/1", "clips/clip/2", "clips/clip/3"]
    assert set(tags["images"]) == {"lines_image", "nothing_image"}


def test_a_folder_that_cannot_be_made_costs_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    said: list[str] = []
    with Tracker(tensorboard=tmp_path / "file" / "events", say=said.append) as tracker:
        tracker.init(config={"seed": 7})
        tracker.log_metrics({"a": 1}, step=1)
        assert not tracker.active
    (line,) = said
    assert line.startswith(f"{tmp_path}/file/events: ")


def test_a_disk_that_gets_full_costs_one_line(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    said: list[str] = []
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    with Tracker(tensorboard=tmp_path, say=said.append) as tracker:
        tracker.init()
        try:
            resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))
            for step in range(2000):
                tracker.log_metrics({"a": step}, step=step)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        assert not tracker.active
    (line,) = said
    assert line.startswith(f"{tmp_path}: ")
    assert "Traceback" not in capfd.readouterr().err
    points = scalars(read_events(tmp_path))["a"]
    assert points == [(step, step) for step in range(len(points))]
    assert len(points) > 100
