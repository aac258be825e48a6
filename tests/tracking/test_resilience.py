"""A server that fails, at each moment that matters. The work goes on, and `asr sync` sends it."""

from __future__ import annotations

import socket
import time
from pathlib import Path

import pytest

from asr_gate.tracking import Tracker, TrackerSettings, wandb_client, wandb_run
from asr_gate.tracking.sync import pending, sync
from tests.tracking.events import read_events, scalars
from tests.tracking.loopback import Loopback
from tests.tracking.offline import read_run

pytestmark = pytest.mark.slow

SLACK = 10.0
"""Seconds that a loaded machine may add."""


def test_the_limits_are_those_that_are_promised() -> None:
    assert wandb_client.LOGIN_SECONDS + wandb_client.INIT_SECONDS <= 15
    assert wandb_client.FINISH_SECONDS < wandb_run.FINISH_LIMIT_SECONDS
    assert wandb_run.FINISH_LIMIT_SECONDS + wandb_run._KILL_SECONDS <= 30


@pytest.fixture
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wandb_client, "LOGIN_SECONDS", 1)
    monkeypatch.setattr(wandb_client, "INIT_SECONDS", 2.0)
    monkeypatch.setattr(wandb_client, "FINISH_SECONDS", 1.0)
    monkeypatch.setattr(wandb_run, "FINISH_LIMIT_SECONDS", 2.5)


class Work:
    """A small training, the seconds that W&B cost it, and what it printed."""

    def __init__(self, folder: Path) -> None:
        (folder / "report.json").write_text("{}")
        self.folder = folder
        self.said: list[str] = []
        self.seconds: dict[str, float] = {}
        self.tracker = Tracker(
            enabled=True,
            project="speech",
            system_metrics=False,
            tensorboard=folder / "tensorboard",
            say=self.said.append,
        )

    def start(self) -> None:
        began = time.monotonic()
        self.tracker.init(run_name="work", config={"seed": 7})
        self.seconds["start"] = time.monotonic() - began

    def log(self, *steps: int) -> None:
        for step in steps:
            self.tracker.log_metrics({"loss": 1 / step}, step=step)

    def log_artifact(self) -> None:
        report = self.folder / "report.json"
        self.tracker.log_artifact(report, "report", "report", aliases="stop")
        self.tracker.alert("STOP", "text")

    def finish(self) -> None:
        began = time.monotonic()
        self.tracker.finish()
        self.seconds["finish"] = time.monotonic() - began

    def check_disk(self, online: bool) -> None:
        """Everything is on disk, and one line says how to send it."""
        *opened, line = self.said
        assert len(opened) == online  # where the run is
        path = self.tracker.run_path
        assert path is not None
        assert line.endswith(f"asr sync {path.relative_to(self.folder)}")
        assert "\n" not in line
        assert path.name.startswith("run-" if online else "offline-run-")
        run = read_run(path)
        assert [(row["_step"], row["loss"]) for row in run.history] == [(1, 1), (2, 0.5)]
        assert run.artifact("report").aliases == ["latest", "stop"]
        assert scalars(read_events(self.folder / "tensorboard"))["loss"] == [(1, 1), (2, 0.5)]

    def check_sent(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Another server gets everything, once."""
        with Loopback() as server:
            monkeypatch.setenv("WANDB_BASE_URL", server.url)
            (done,) = sync(pending())
            assert (done.sent, done.problem) == (True, "")
            run_id = self.tracker.run_id
            rows = [(row["_step"], row["loss"]) for row in server.history(run_id)]
            assert rows == [(1, 1), (2, 0.5)]
            assert server.config(run_id) == {"seed": 7}
            assert server.versions("report", "speech") == {"v0": ["latest", "stop"]}
            assert [alert["title"] for alert in server.alerts] == ["STOP"]
            assert server.runs[run_id]["displayName"] == "work"
            assert pending() == []


@pytest.mark.parametrize("behaviour", ["silent", "429", "500", "closed", "401"])
@pytest.mark.usefixtures("_short")
def test_failing_from_the_start(
    behaviour: str, server: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.behave(behaviour, seconds=60)  # as Retry-After says
    work = Work(tmp_path)
    work.start()
    work.log(1, 2)
    work.log_artifact()
    work.finish()
    assert work.seconds["start"] < 1 + SLACK
    assert work.seconds["finish"] < 1 + SLACK
    work.check_disk(online=False)
    assert ("401" if behaviour == "401" else server.url) in work.said[0]
    if behaviour == "silent":
        work.check_sent(monkeypatch)


@pytest.mark.usefixtures("_short")
def test_a_socket_that_never_accepts(
    server: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        monkeypatch.setenv("WANDB_BASE_URL", f"http://127.0.0.1:{listener.getsockname()[1]}")
        work = Work(tmp_path)
        work.start()
        assert work.tracker.mode == "offline"
        assert work.seconds["start"] < 1 + SLACK
        work.finish()


@pytest.mark.parametrize("behaviour", ["401", "silent"])
@pytest.mark.usefixtures("_short")
def test_failing_between_login_and_run(
    behaviour: str, server: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log_in = wandb_run.log_in

    def log_in_and_fail(settings: TrackerSettings, timeout: int) -> object:
        result = log_in(settings, timeout)
        server.behave(behaviour)
        return result

    monkeypatch.setattr(wandb_run, "log_in", log_in_and_fail)
    work = Work(tmp_path)
    work.start()
    work.log(1, 2)
    work.log_artifact()
    work.finish()
    assert work.seconds["start"] < 3 + SLACK
    work.check_disk(online=False)


@pytest.mark.parametrize(
    ("behaviour", "at", "then_sent"),
    [
        ("429", None, False),
        ("401", None, False),
        ("silent", "CommitArtifact", True),
        ("500", "file_stream", True),
    ],
)
@pytest.mark.usefixtures("_short")
def test_lost_midway(
    behaviour: str,
    at: str | None,
    then_sent: bool,
    server: Loopback,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    work = Work(tmp_path)
    work.start()
    work.log(1)
    server.behave(behaviour, at=at)
    began = time.monotonic()
    work.log(2)
    work.log_artifact()
    assert time.monotonic() - began < 1
    work.finish()
    assert work.seconds["finish"] < 4.5 + SLACK
    work.check_disk(online=True)
    if then_sent:
        work.check_sent(monkeypatch)


@pytest.mark.usefixtures("_short")
def test_lost_at_the_finish(server: Loopback, tmp_path: Path) -> None:
    work = Work(tmp_path)
    work.start()
    work.log(1, 2)
    work.log_artifact()
    server.behave("closed")
    work.finish()
    assert work.seconds["finish"] < 4.5 + SLACK
    work.check_disk(online=True)


def test_a_slow_server_is_waited_for_within_the_limits(
    server: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.behave("slow", seconds=0.3)
    work = Work(tmp_path)
    work.start()
    assert work.tracker.mode == "online"
    assert work.seconds["start"] < 15 + SLACK
    work.log(1, 2)
    work.finish()
    (line,) = work.said
    assert line.startswith("W&B: on")
    assert [row["_step"] for row in server.history(work.tracker.run_id)] == [1, 2]
