"""Runs that are sent later, and the lineage that is drawn then."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from asr_gate.tracking import Tracker, TrackingError
from asr_gate.tracking import sync as syncing
from asr_gate.tracking.ledger import Ledger, read_ledger
from asr_gate.tracking.sync import link, pending, sync
from tests.tracking.isolation import FAKE_KEY
from tests.tracking.loopback import ENTITY, Loopback

ROOT = Path(__file__).parents[2]
AUDIT = {"decision": "PROCEED", "digest": "abc"}


def make_audit(tmp_path: Path, text: str = "{}", **given: Any) -> tuple[Path, str]:
    """An offline audit: its folder, and the reference of its report."""
    (tmp_path / "report.json").write_text(text)
    tracker = Tracker(enabled=True, mode="offline", project="speech", silent=True, **given)
    with tracker:
        tracker.init(run_name="audit")
        reference = tracker.log_artifact(
            tmp_path / "report.json", "report", "report", aliases=["proceed"], metadata=AUDIT
        )
    assert tracker.run_path is not None
    return tracker.run_path, reference


def make_training(reference: str, digest: str = "abc", **given: Any) -> Path:
    """An offline training that used the report."""
    tracker = Tracker(enabled=True, mode="offline", project="speech", silent=True, **given)
    with tracker:
        tracker.init(run_name="train", config={"phase0": {"artifact": reference, "digest": digest}})
        tracker.log_metrics({"loss": 1}, step=1)
        assert tracker.use_artifact(reference, digest) is False
    assert tracker.run_path is not None
    # Made later than the audit, though maybe in the same second.
    return tracker.run_path.rename(tracker.run_path.with_name(f"offline-run-29{tracker.run_id}"))


def bare(root: Path, name: str, **changes: Any) -> Path:
    """A run's folder that holds its ledger alone."""
    folder = root / "wandb" / name
    folder.mkdir(parents=True)
    process = {"process": 2**22 + 1, "began": 0.0}  # above the highest id there is
    given = {"run_id": "r", "entity": "", "project": "speech", "state": "unsent"}
    Ledger(**{**given, **process, **changes}).write(folder)
    return folder


# What waits


def test_what_waits_is_told_oldest_first(tmp_path: Path) -> None:
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
    to_register = bare(tmp_path, "run-20260106_000000-f", state="sent", links={"m:best": "x"})
    bare(tmp_path, "run-20260107_000000-g", **live)
    bare(tmp_path, "run-20260108_000000-h", state="sent")
    (tmp_path / "wandb" / "run-20260109_000000-i").mkdir()  # not ours
    damaged = bare(tmp_path, "run-20260110_000000-j")
    (damaged / "asr.json").write_text("{")
    (tmp_path / "wandb" / "latest-run").symlink_to(unsent)
    waiting = [killed, online, unsent, reused, to_link, to_register, damaged]
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
    assert "is being made" in refused.problem
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
    run_id = read_ledger(folder).run_id
    assert [row["loss"] for row in server.history(run_id)] == [1]


# What is no run


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", "null", "{}", '{"run_id": 5}', "\x00", "[" * 100_000],
)
def test_a_damaged_ledger_holds_up_nothing_else(content: str, tmp_path: Path) -> None:
    folder = bare(tmp_path, "run-20260101_000000-a")
    (folder / "asr.json").write_text(content)
    (result,) = sync([folder])
    assert (result.sent, result.run) == (False, "")
    assert result.problem.startswith("asr.json is damaged")
    assert "wandb sync" in result.problem


@pytest.mark.parametrize("changes", [{"uses": [{"reference": "x"}]}, {"links": []}, {"uses": None}])
def test_a_ledger_of_other_types(changes: dict[str, Any], tmp_path: Path) -> None:
    folder = bare(tmp_path, "run-20260101_000000-a")
    content = json.loads((folder / "asr.json").read_text()) | changes
    (folder / "asr.json").write_text(json.dumps(content))
    with pytest.raises(TrackingError, match="damaged"):
        read_ledger(folder)


def test_a_folder_that_is_no_run(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path in (tmp_path, tmp_path / "none", tmp_path / "file"):
        (result,) = sync([path])
        assert result.problem.startswith("no run of asr (no asr.json)")


def test_a_ledger_is_written_in_one_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = bare(tmp_path, "run-20260101_000000-a")
    before = (folder / "asr.json").read_text()

    def fail(*_: object, **__: object) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_text", fail)
        with pytest.raises(OSError, match="No space"):
            read_ledger(folder).write(folder)
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
@pytest.mark.usefixtures("wandb_environment")
def test_who_may_not_send(
    variables: dict[str, str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    folder = bare(tmp_path, "run-20260101_000000-a")
    for call in (lambda: list(sync([folder])), lambda: link("team/speech/abc")):
        with pytest.raises(TrackingError, match=said) as caught:
            call()
        assert "\n" not in str(caught.value)


def test_a_server_that_does_not_answer(
    server: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(syncing, "TIMEOUT", 1)
    server.behave("silent")
    folder = bare(tmp_path, "run-20260101_000000-a")
    with pytest.raises(TrackingError, match=rf"{server.url} gave no usable answer in 1 s"):
        list(sync([folder]))
    assert read_ledger(folder).state == "unsent"


# Sending


def test_an_audit_and_a_training_are_sent_and_linked_once(
    server: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    audit, reference = make_audit(tmp_path)
    training = make_training(reference)
    assert pending() == [audit, training]
    # What would lead a client astray: the runs know where they belong.
    for name, value in (("MODE", "offline"), ("PROJECT", "other"), ("RUN_ID", "zzz")):
        monkeypatch.setenv(f"WANDB_{name}", value)
    first, second = sync([training, audit])  # in any order: the audit goes first
    assert (first.folder, first.sent, first.linked, first.problem) == (str(audit), True, [], "")
    assert (second.sent, second.linked, second.problem) == (
        True,
        [f"{ENTITY}/speech/report:proceed"],
        "",
    )
    ids = [read_ledger(folder).run_id for folder in (audit, training)]
    assert list(server.runs) == ids
    assert server.runs[ids[1]]["used"] == [server.artifacts[0]["id"]]
    assert read_ledger(training).uses == []
    assert pending() == []

    before = len(server.artifacts), [len(server.history(run_id)) for run_id in ids]
    again = list(sync([audit, training]))
    assert [(one.sent, one.linked, one.problem) for one in again] == [(False, [], "")] * 2
    assert (len(server.artifacts), [len(server.history(run_id)) for run_id in ids]) == before
    assert server.asked("UseArtifact")[1:] == []

    # `asr link` by each of its names, which does no harm.
    for name in (str(training), second.run):
        assert link(name).linked == [f"{ENTITY}/speech/report:proceed"]
    assert server.runs[ids[1]]["used"] == [server.artifacts[0]["id"]]
    told = tmp_path / "runs" / "first"
    told.mkdir(parents=True)
    block = {"entity": None, "project": "speech"}
    tracked = {"tracking": {"run_id": ids[1]}, "config": {"wandb": block}}
    (told / "run.json").write_text(json.dumps(tracked))
    assert link(str(told)).run == second.run
    with pytest.raises(TrackingError, match="no phase0"):
        link(f"{ENTITY}/speech/{ids[0]}")


def test_the_report_is_found_by_its_digest(server: Loopback, tmp_path: Path) -> None:
    """An alias that was moved on names another report by now."""
    audit, reference = make_audit(tmp_path)
    training = make_training(reference, digest="abc")
    AUDIT["digest"] = "def"
    try:
        another, _ = make_audit(tmp_path, '{"another": 1}')
    finally:
        AUDIT["digest"] = "abc"
    assert [one.problem for one in sync([audit])] == [""]
    assert [one.problem for one in sync([another, training])] == ["", ""]
    assert server.versions("report", "speech") == {"v0": [], "v1": ["latest", "proceed"]}
    ledger = read_ledger(training)
    run = server.runs[ledger.run_id]
    run["used"].clear()
    assert link(f"{ENTITY}/speech/{ledger.run_id}").linked == [f"{ENTITY}/speech/report:v0"]
    assert run["used"] == [server.artifacts[0]["id"]]


@pytest.mark.slow
def test_a_server_lost_while_it_is_sent(
    server: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`wandb sync` by itself would wait for hours."""
    import psutil

    monkeypatch.setattr(syncing, "PATIENCE", 1.0)
    monkeypatch.setattr(syncing, "TIMEOUT", 1)
    audit, reference = make_audit(tmp_path)
    training = make_training(reference)
    server.behave("silent", at="storage")
    results = []
    with pytest.raises(TrackingError, match="gave no usable answer"):
        for result in sync([audit, training]):
            results.append(result)
    (lost,) = results
    assert (lost.sent, lost.run) == (False, "")
    assert lost.problem.startswith("not sent whole (W&B cannot be reached")
    assert lost.problem.endswith(f"asr sync wandb/{audit.name}")
    assert pending() == [audit, training]
    for process in psutil.process_iter(["cmdline"]):
        assert str(audit) not in (process.info["cmdline"] or [])
    with Loopback() as well:
        monkeypatch.setenv("WANDB_BASE_URL", well.url)
        results = list(sync(pending()))
        assert [(one.sent, one.problem) for one in results] == [(True, ""), (True, "")]
        assert well.contents(well.artifacts[0]) == {"report.json": b"{}"}
        assert len(results[1].linked) == 1
        assert [row["loss"] for row in well.history(read_ledger(training).run_id)] == [1]


@pytest.mark.slow
def test_what_the_server_does_not_take_is_sent_again(
    server: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`wandb sync` says 0 and marks the run as sent all the same."""
    monkeypatch.setenv("WANDB__FILE_STREAM_RETRY_MAX", "0")
    training = make_training("wandb-offline:none/report:proceed")
    with monkeypatch.context() as patch:
        patch.setattr(server, "stream", refuse)
        (refused,) = sync([training])
    assert not refused.sent
    assert "not sent whole (" in refused.problem
    assert read_ledger(training).state == "unsent"
    (done,) = sync([training])
    assert done.sent
    assert "is not on the server" in done.problem
    assert [row["loss"] for row in server.history(read_ledger(training).run_id)] == [1]


def refuse(*_: object) -> None:
    from tests.tracking.loopback_state import Refused

    raise Refused("no rows today")


def test_an_artifact_that_does_not_arrive_is_missed(
    server: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    audit, _ = make_audit(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(server, "_create_artifact", lambda _: None)
        (refused,) = sync([audit])
    assert not refused.sent
    assert "not sent whole (" in refused.problem
    (done,) = sync([audit])
    assert (done.sent, done.problem) == (True, "")
    assert server.versions("report", "speech") == {"v0": ["latest", "proceed"]}


def test_a_model_of_an_offline_run_is_linked_to_the_registry(
    server: Loopback, tmp_path: Path
) -> None:
    from tests.tracking.loopback import ORGANISATION

    tracker = Tracker(
        enabled=True, mode="offline", project="speech", registry="wandb-registry-model/asr"
    )
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "weights").write_text("w")
    with tracker:
        tracker.init()
        tracker.log_model_artifact(tmp_path / "model", "asr-model", ["best", "epoch-1"])
    (done,) = sync(pending())
    assert (done.sent, done.problem) == (True, "")
    assert server.versions("asr", "wandb-registry-model", ORGANISATION) == {"v0": ["latest"]}
    assert pending() == []


# Links that cannot be


@pytest.mark.parametrize(
    ("run", "said"),
    [
        ("nosuch", "nosuch: no run; name its folder"),
        ("a/b/c/d", "no run; name its folder"),
        ("team/speech/nosuch", "the server has no such run"),
        (".", "no folder of a run"),
        ("empty", "no folder of a run"),
        ("untracked", "was not tracked by W&B"),
        ("wandb/run-20260101_000000-a", "was not sent yet; send it"),
    ],
)
def test_a_run_that_cannot_be_linked(run: str, said: str, server: Loopback, tmp_path: Path) -> None:
    bare(tmp_path, "run-20260101_000000-a")
    block = {"entity": None, "project": "speech"}
    for name, run_id in (("empty", None), ("untracked", "")):
        (tmp_path / name).mkdir()
        content = {"tracking": {"run_id": run_id}, "config": {"wandb": block}} if run_id else {}
        if name == "untracked":
            content = {"tracking": {"run_id": ""}, "config": {"wandb": block}}
        (tmp_path / name / "run.json").write_text(json.dumps(content))
    with pytest.raises(TrackingError) as caught:
        link(run)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
