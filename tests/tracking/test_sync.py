"""`asr sync` and `asr link`: runs that are sent later, and the lineage that is added then."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from asr_gate.tracking import Tracker, TrackingError
from asr_gate.tracking import sync as syncing
from asr_gate.tracking.sync import link, pending, sync
from asr_gate.tracking.sync_state import SyncState, read_sync_state
from tests.tracking.isolation import FAKE_KEY
from tests.tracking.loopback import ENTITY, Loopback
from tests.tracking.loopback_state import Refused

ROOT = Path(__file__).parents[2]


def make_audit(tmp_path: Path, **given: Any) -> tuple[Tracker, str]:
    """An audit that logged its report: the tracker, and the reference of the report."""
    report = tmp_path / "report.json"
    report.write_text(json.dumps(given.pop("report", {})))
    digest = given.pop("digest", "abc")
    with Tracker(enabled=True, project="speech", silent=True, **given) as tracker:
        tracker.init(run_name="audit")
        reference = tracker.log_artifact(
            report, "report", "report", aliases=["proceed"], metadata={"digest": digest}
        )
    return tracker, reference


def make_training(reference: str, digest: str = "abc", **given: Any) -> Path:
    """The folder of an offline training that used the report."""
    given = {"mode": "offline"} | given
    Path("weights").write_text("w")
    with Tracker(enabled=True, project="speech", silent=True, **given) as tracker:
        tracker.init(run_name="train", config={"phase0": {"artifact": reference, "digest": digest}})
        tracker.log_metrics({"loss": 1}, step=1)
        tracker.log_model_artifact("weights", "asr-model", ["best", "epoch-1"])
        assert tracker.use_artifact(reference, digest) is False
    # Made later than the audit, though maybe in the same second.
    folder = path_of(tracker)
    return folder.rename(folder.with_name(f"offline-run-29{tracker.run_id}"))


def path_of(tracker: Tracker) -> Path:
    assert tracker.run_path is not None
    return tracker.run_path


@contextmanager
def refusing(server: Loopback, method: str) -> Iterator[None]:
    """The server refuses what this method would answer."""

    def refuse(*_: object) -> None:
        raise Refused("not today")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(server, method, refuse)
        yield


def bare(root: Path, name: str, **changes: Any) -> Path:
    """A run's folder that holds nothing but its state."""
    folder = root / "wandb" / name
    folder.mkdir(parents=True)
    process = {"process": 2**22 + 1, "began": 0.0}  # above the highest id there is
    given = {"run_id": "r", "entity": "", "project": "speech", "state": "unsent"}
    SyncState(**{**given, **process, **changes}).write(folder)
    return folder


# What waits


def test_pending_runs_come_oldest_first(tmp_path: Path) -> None:
    import psutil

    me = psutil.Process()
    live = {"state": "running", "process": me.pid, "began": me.create_time()}
    unsent = bare(tmp_path, "offline-run-20260103_000000-c")
    online = bare(tmp_path, "run-20260102_000000-b")
    killed = bare(tmp_path, "run-20260101_000000-a", state="running")
    reused = bare(tmp_path, "run-20260104_000000-d", **(live | {"began": 5.0}))
    to_link = bare(
        tmp_path, "run-20260105_000000-e", state="sent", uses=[{"reference": "x", "digest": ""}]
    )
    bare(tmp_path, "run-20260107_000000-g", **live)
    bare(tmp_path, "run-20260108_000000-h", state="sent")
    (tmp_path / "wandb" / "run-20260109_000000-i").mkdir()  # not ours
    damaged = bare(tmp_path, "run-20260110_000000-j")
    (damaged / "asr.json").write_text("{")
    (tmp_path / "wandb" / "latest-run").symlink_to(unsent)
    waiting = [killed, online, unsent, reused, to_link, damaged]
    assert pending(tmp_path) == waiting
    assert pending(tmp_path / "nowhere") == []


def test_a_process_that_is_killed_leaves_a_run_that_is_sent(
    server: Loopback, tmp_path: Path
) -> None:
    code = """
import os, time
from asr_gate.tracking import Tracker
tracker = Tracker(enabled=True, mode="offline", project="speech", silent=True).init()
tracker.log_metrics({"loss": 1}, step=1)
tracker.log_metrics({"loss": 2}, step=2)  # the client waits for more of this step
time.sleep(3)  # longer than it keeps what it has
print("ready", flush=True)
time.sleep(60)
"""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, env=environment, cwd=tmp_path
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    assert pending() == []
    (folder,) = (tmp_path / "wandb").glob("offline-run-*")
    (refused,) = sync([folder])
    assert refused.problem
    assert not refused.sent
    assert server.operations == []
    process.kill()
    process.wait()
    process.stdout.close()
    deadline = time.monotonic() + 10
    while pending() != [folder]:
        assert time.monotonic() < deadline
    time.sleep(1)  # the client's service sees it, too
    (done,) = sync(pending())
    assert (done.sent, done.problem) == (True, "")
    run_id = read_sync_state(folder).run_id
    assert [row["loss"] for row in server.history(run_id)] == [1]


# What is no run


GOOD = {"run_id": "r", "entity": "", "project": "p", "process": 1, "began": 0.0}


@pytest.mark.parametrize(
    "content",
    [
        "", "{", "[]", "null", '{"run_id": 5}', "\x00", "[" * 100_000,
        *(json.dumps(GOOD | more) for more in ({"uses": [{"reference": "x"}]}, {"uses": 5})),
    ],
)  # fmt: skip
def test_a_damaged_state_holds_up_nothing_else(content: str, tmp_path: Path) -> None:
    folder = bare(tmp_path, "run-20260101_000000-a")
    (folder / "asr.json").write_text(content)
    (result,) = sync([folder])
    assert (result.sent, result.run) == (False, "")
    assert "asr.json is damaged" in result.problem


def test_a_folder_that_is_no_run(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path in (tmp_path, tmp_path / "none", tmp_path / "file"):
        (result,) = sync([path])
        assert "asr.json" in result.problem


def test_the_state_is_written_in_one_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = bare(tmp_path, "run-20260101_000000-a")
    before = (folder / "asr.json").read_text()

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail)
        with pytest.raises(OSError, match="No space"):
            read_sync_state(folder).write(folder)
    assert (folder / "asr.json").read_text() == before


# Nobody to send to


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"WANDB_DISABLED": "true", "WANDB_API_KEY": FAKE_KEY}, "WANDB_DISABLED is set"),
        ({}, "no login was found"),
        ({"WANDB_API_KEY": "short"}, "the login is unusable"),
        ({"WANDB_MODE": "sometimes"}, "WANDB_MODE=sometimes"),
    ],
)
@pytest.mark.usefixtures("fresh_client")
def test_nothing_is_sent_without_a_login_or_switched_off(
    variables: dict[str, str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    folder = bare(tmp_path, "run-20260101_000000-a")
    with pytest.raises(TrackingError, match=said) as caught:
        list(sync([folder]))
    assert "\n" not in str(caught.value)


def test_a_server_that_does_not_answer(
    server: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(syncing, "TIMEOUT_SECONDS", 1)
    server.behave("silent")
    folder = bare(tmp_path, "run-20260101_000000-a")
    with pytest.raises(TrackingError, match=server.url):
        list(sync([folder]))
    assert read_sync_state(folder).state == "unsent"


# Sending


def test_an_audit_and_a_training_are_sent_and_linked_once(
    server: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, reference = make_audit(tmp_path, mode="offline")
    audit, training = path_of(made), make_training(reference)
    assert pending() == [audit, training]
    # The runs know where they belong, whatever the environment says.
    for name, value in (("MODE", "offline"), ("PROJECT", "other"), ("RUN_ID", "zzz")):
        monkeypatch.setenv(f"WANDB_{name}", value)
    first, second = sync([training, audit])  # in any order: the audit goes first
    assert (first.folder, first.sent, first.linked, first.problem) == (str(audit), True, [], "")
    assert (second.sent, second.linked, second.problem) == (
        True,
        [f"{ENTITY}/speech/report:proceed"],
        "",
    )
    ids = [read_sync_state(folder).run_id for folder in (audit, training)]
    assert list(server.runs) == ids
    assert server.runs[ids[1]]["used"] == [server.artifacts[0]["id"]]
    assert read_sync_state(training).uses == []
    assert pending() == []

    before = len(server.artifacts), [len(server.history(run_id)) for run_id in ids]
    again = list(sync([audit, training]))
    assert [(one.sent, one.linked, one.problem) for one in again] == [(False, [], "")] * 2
    assert (len(server.artifacts), [len(server.history(run_id)) for run_id in ids]) == before
    assert server.asked("UseArtifact")[1:] == []

    # `asr link` does no harm to a run that is linked.
    for name in (str(training), second.run):
        assert link(name).linked == [f"{ENTITY}/speech/report:proceed"]
    assert server.runs[ids[1]]["used"] == [server.artifacts[0]["id"]]
    with pytest.raises(TrackingError, match="no phase0"):
        link(f"{ENTITY}/speech/{ids[0]}")


def test_the_report_is_found_by_its_digest(server: Loopback, tmp_path: Path) -> None:
    """By then its alias names another report."""
    _, reference = make_audit(tmp_path)
    with Tracker(enabled=True, project="speech") as training:
        training.init(config={"phase0": {"artifact": reference, "digest": "abc"}})
    make_audit(tmp_path, digest="def", report={"another": 1})
    assert server.versions("report", "speech") == {"v0": [], "v1": ["latest", "proceed"]}
    run = f"{ENTITY}/speech/{training.run_id}"
    assert link(run).linked == [f"{ENTITY}/speech/report:v0"]
    assert server.runs[training.run_id]["used"] == [server.artifacts[0]["id"]]
    # A training's folder names its run.
    folder = tmp_path / "runs" / "first"
    folder.mkdir(parents=True)
    block = {"entity": None, "project": "speech"}
    content = {"tracking": {"run_id": training.run_id}, "config": {"wandb": block}}
    (folder / "run.json").write_text(json.dumps(content))
    assert link(str(folder)).run == run
    with refusing(server, "_use"):
        assert "cannot be linked" in link(run).problem


@pytest.mark.slow
def test_a_server_lost_while_it_is_sent(
    server: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`wandb sync` by itself would wait for hours."""
    import psutil

    monkeypatch.setattr(syncing, "CHECK_SECONDS", 1.0)
    monkeypatch.setattr(syncing, "TIMEOUT_SECONDS", 1)
    audit = path_of(make_audit(tmp_path, mode="offline")[0])
    later = bare(tmp_path, "offline-run-29990101_000000-b")
    server.behave("silent", at="storage")
    results = []
    with pytest.raises(TrackingError, match="gave no usable answer"):
        for result in sync([audit, later]):
            results.append(result)
    (lost,) = results
    assert (lost.sent, lost.run) == (False, "")
    assert lost.problem.endswith(f"asr sync wandb/{audit.name}")
    assert pending() == [audit, later]
    for process in psutil.process_iter(["cmdline"]):
        assert str(audit) not in (process.info["cmdline"] or [])
    with Loopback() as well:
        monkeypatch.setenv("WANDB_BASE_URL", well.url)
        (done,) = sync([audit])
        assert (done.sent, done.problem) == (True, "")
        assert well.contents(well.artifacts[0]) == {"report.json": b"{}"}


@pytest.mark.slow
@pytest.mark.parametrize("part", ["stream", "_create_artifact"])
def test_what_the_server_does_not_take_is_sent_again(
    part: str, server: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`wandb sync` ends with 0 and marks the run as sent all the same."""
    monkeypatch.setenv("WANDB__FILE_STREAM_RETRY_MAX", "0")
    training = make_training("wandb-offline:none/report:proceed")
    with refusing(server, part):
        (refused,) = sync([training])
    assert not refused.sent
    assert refused.problem
    assert read_sync_state(training).state == "unsent"
    if part == "stream":
        (done,) = sync([training])
        assert done.sent
        assert "is not on the server" in done.problem
        history = server.history(read_sync_state(training).run_id)
        assert [row["loss"] for row in history] == [1]


# Links that cannot be


@pytest.mark.parametrize(
    ("run", "said"),
    [
        ("nosuch", "nosuch"),
        ("a/b/c/d", "a/b/c/d"),
        ("team/speech/nosuch", "no such run"),
        (".", "run.json"),
        ("empty", "run.json"),
        ("untracked", "untracked"),
        ("wandb/run-20260101_000000-a", "asr sync"),
    ],
)
def test_a_run_that_cannot_be_linked(run: str, said: str, server: Loopback, tmp_path: Path) -> None:
    bare(tmp_path, "run-20260101_000000-a")
    block = {"entity": None, "project": "speech"}
    content = {"tracking": {"run_id": ""}, "config": {"wandb": block}}
    for name, told in (("empty", {}), ("untracked", content)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "run.json").write_text(json.dumps(told))
    with pytest.raises(TrackingError) as caught:
        link(run)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
