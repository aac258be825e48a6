"""A server that fails, at each moment that matters; then a server that gets all of it.

The limits are short here, as it is the behaviour that is under test; `test_tracker` has runs with
the limits as they are: 13 s for a start, 25 s for a finish.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from asr_gate.tracking import Tracker, connection
from asr_gate.tracking.sync import pending, sync
from tests.tracking.events import read_events, scalars
from tests.tracking.loopback import ENTITY, Loopback
from tests.tracking.offline import read_run

pytestmark = pytest.mark.slow

SLACK = 10.0
"""What a loaded machine may add, in seconds."""


@pytest.fixture
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "PROBE_SECONDS", 1)
    monkeypatch.setattr(connection, "INIT_SECONDS", 2.0)
    monkeypatch.setattr(connection, "FINISH_SECONDS", 1.0)
    monkeypatch.setattr(connection, "FINISH_LIMIT_SECONDS", 2.5)


@dataclass
class Work:
    """A small training, the seconds that W&B cost it, and what was said."""

    folder: Path
    said: list[str] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        (self.folder / "report.json").write_text("{}")
        self.tracker = Tracker(
            enabled=True,
            project="speech",
            system_metrics=False,
            tensorboard=self.folder / "board",
            say=self.said.append,
        )

    def start(self) -> None:
        began = time.monotonic()
        self.tracker.init(run_name="work", config={"seed": 7})
        self.seconds["start"] = time.monotonic() - began

    def log(self, *steps: int) -> None:
        for step in steps:
            self.tracker.log_metrics({"loss": 1 / step}, step=step)

    def artifact(self) -> None:
        report = self.folder / "report.json"
        self.tracker.log_artifact(report, "report", "report", aliases="stop")
        self.tracker.alert("STOP", "text")

    def finish(self) -> None:
        began = time.monotonic()
        self.tracker.finish()
        self.seconds["finish"] = time.monotonic() - began

    def check_disk(self, online: bool) -> None:
        """All is on the disk, and one line says how to send it."""
        (line,) = self.said
        path = self.tracker.run_path
        assert path is not None
        assert line.endswith(f"asr sync {path.relative_to(self.folder)}")
        assert "\n" not in line
        assert path.name.startswith("run-" if online else "offline-run-")
        run = read_run(path)
        assert [(row["_step"], row["loss"]) for row in run.history] == [(1, 1), (2, 0.5)]
        assert run.artifact("report").aliases == ["latest", "stop"]
        assert scalars(read_events(self.folder / "board"))["loss"] == [(1, 1), (2, 0.5)]

    def check_sent(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A server that is well gets it all, whichever was asked before."""
        with Loopback() as server:
            monkeypatch.setenv("WANDB_BASE_URL", server.url)
            (done,) = sync(pending())
            assert (done.sent, done.problem) == (True, "")
            run_id = self.tracker.run_id
            assert done.run == f"{ENTITY}/speech/{run_id}"
            rows = [(row["_step"], row["loss"]) for row in server.history(run_id)]
            assert rows == [(1, 1), (2, 0.5)]
            assert server.config(run_id) == {"seed": 7}
            assert server.versions("report", "speech") == {"v0": ["latest", "stop"]}
            assert [alert["title"] for alert in server.alerts] == ["STOP"]
            assert server.runs[run_id]["displayName"] == "work"
            asked = len(server.operations)
            assert pending() == []
            assert list(sync([])) == []
            assert len(server.operations) == asked


@pytest.mark.parametrize("behaviour", ["silent", "429"])
@pytest.mark.usefixtures("_short")
def test_failing_from_the_start(
    behaviour: str, server: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.behave(behaviour, seconds=60)  # so says Retry-After
    work = Work(tmp_path)
    work.start()
    work.log(1, 2)
    work.artifact()
    work.finish()
    assert work.seconds["start"] < 1 + SLACK
    assert work.seconds["finish"] < 1 + SLACK
    work.check_disk(online=False)
    assert server.url in work.said[0]
    work.check_sent(monkeypatch)


@pytest.mark.usefixtures("_short")
def test_failing_between_login_and_run(
    server: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.behave("401", at="UpsertBucket")
    work = Work(tmp_path)
    work.start()
    work.log(1, 2)
    work.artifact()
    work.finish()
    work.check_disk(online=False)
    assert "the server did not start the run" in work.said[0]
    work.check_sent(monkeypatch)


@pytest.mark.parametrize(
    ("behaviour", "at"),
    [
        ("429", None),
        ("401", None),
        ("silent", "CommitArtifact"),
        ("500", "file_stream"),
    ],
)
@pytest.mark.usefixtures("_short")
def test_lost_midway(
    behaviour: str,
    at: str | None,
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
    work.artifact()
    assert time.monotonic() - began < 1
    work.finish()
    assert work.seconds["finish"] < 4.5 + SLACK
    work.check_disk(online=True)
    work.check_sent(monkeypatch)


@pytest.mark.usefixtures("_short")
def test_lost_at_the_finish(
    server: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = Work(tmp_path)
    work.start()
    work.log(1, 2)
    work.artifact()
    server.behave("closed")
    work.finish()
    assert work.seconds["finish"] < 4.5 + SLACK
    work.check_disk(online=True)
    work.check_sent(monkeypatch)


def test_what_is_used_then_is_linked_later(server: Loopback, tmp_path: Path) -> None:
    with Tracker(enabled=True, project="speech") as audit:
        audit.init()
        (tmp_path / "report.json").write_text("{}")
        reference = audit.log_artifact(
            tmp_path / "report.json",
            "report",
            "report",
            aliases=["proceed"],
            metadata={"digest": "abc"},
        )
    said: list[str] = []
    with Tracker(enabled=True, project="speech", say=said.append) as tracker:
        tracker.init()
        server.behave("401")
        assert tracker.use_artifact(reference, "abc") is False
        server.behave("ok")
    (line,) = said
    assert "asr sync links it later" in line
    (done,) = sync(pending())
    assert (done.sent, done.linked) == (False, [f"{ENTITY}/speech/report:proceed"])
    assert server.runs[tracker.run_id]["used"] == [server.artifacts[0]["id"]]


@pytest.mark.parametrize("seconds", [0.1, 1.0])
def test_a_slow_server_is_waited_for_within_bounds(
    seconds: float, server: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The limits are as they are. A start asks three questions, a finish many at a time."""
    server.behave("slow", seconds=seconds)
    work = Work(tmp_path)
    work.start()
    work.log(1, 2)
    work.artifact()
    assert work.tracker.mode == "online"
    assert work.seconds["start"] < 15 + SLACK
    if seconds == 1:
        monkeypatch.setattr(connection, "FINISH_SECONDS", 1.0)
        monkeypatch.setattr(connection, "FINISH_LIMIT_SECONDS", 2.0)
    work.finish()
    server.behave("ok")
    if seconds < 1:
        assert work.said == []
        assert [row["_step"] for row in server.history(work.tracker.run_id)] == [1, 2]
    else:
        assert work.seconds["finish"] < 5 + SLACK
        work.check_disk(online=True)
        work.check_sent(monkeypatch)
