"""Models as artifacts, and runs that go on, against a server on loopback."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from asr_gate.tracking import Tracker, TrackingError, connection
from asr_gate.tracking.sync import pending
from tests.tracking.loopback import ENTITY, ORGANISATION, Loopback

PROJECT = f"{ENTITY}/speech"
REGISTRY = "wandb-registry-model/asr"


def begin(said: list[str] | None = None, run_id: str | None = None, **given: Any) -> Tracker:
    lines = [] if said is None else said
    given = {"project": "speech", "system_metrics": False} | given
    after = given.pop("after", None)
    tracker = Tracker(enabled=True, say=lines.append, **given)
    return tracker.init(run_id=run_id, after=after)


def log_model(tracker: Tracker, folder: Path, step: int, *aliases: str) -> str:
    """A model of its own bytes for each run and step."""
    path = folder / f"{tracker.run_id}-{step}"
    path.mkdir()
    (path / "weights").write_text(path.name)
    return tracker.log_model_artifact(path, "asr-model", aliases, {"step": step, "wer": 1 / step})


def ledger(tracker: Tracker) -> dict[str, Any]:
    assert tracker.run_path is not None
    content = json.loads((tracker.run_path / "asr.json").read_text())
    assert isinstance(content, dict)
    return content


def test_old_versions_of_this_run_go_and_all_others_stay(server: Loopback, tmp_path: Path) -> None:
    import wandb

    with begin() as other:
        log_model(other, tmp_path, 1, "epoch-1")
        log_model(other, tmp_path, 2, "step-20")
    assert list(server.versions("asr-model", "speech")) == ["v0", "v1"]
    said: list[str] = []
    tracker = begin(said, keep=2)
    log_model(tracker, tmp_path, 1, "epoch-1")  # a person's, below
    log_model(tracker, tmp_path, 2, "epoch-2", "best")  # not the best for long
    log_model(tracker, tmp_path, 3, "step-30", "best")  # the best
    log_model(tracker, tmp_path, 4, "epoch-4")
    log_model(tracker, tmp_path, 5, "epoch-5", "final")  # two that are kept as the newest
    log_model(tracker, tmp_path, 6, "epoch-6")
    wait_for(server, 8)
    theirs = wandb.Api().artifact(f"{PROJECT}/asr-model:v2")
    assert theirs.metadata == {"step": 1, "wer": 1.0, "run_id": tracker.run_id}
    theirs.aliases.append("keep-me")
    theirs.save()
    tracker.finish()
    assert said == []
    assert server.versions("asr-model", "speech") == {
        "v0": [],  # its alias was moved on by a later run; it is another run's all the same
        "v1": ["step-20"],
        "v2": ["epoch-1", "keep-me"],
        "v4": ["best", "step-30"],
        "v6": ["epoch-5", "final"],
        "v7": ["epoch-6", "latest"],
    }
    best = wandb.Api().artifact(f"{PROJECT}/asr-model:best")
    assert best.metadata == {"step": 3, "wer": 1 / 3, "run_id": tracker.run_id}
    producer = best.logged_by()
    assert producer is not None
    assert producer.id == tracker.run_id


def wait_for(server: Loopback, artifacts: int) -> None:
    import time

    deadline = time.monotonic() + 10
    while len(server.artifacts) < artifacts:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_version_that_cannot_be_deleted_stays(
    server: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.tracking.loopback_state import Refused

    def refuse(_: object) -> None:
        raise Refused("not yours to delete")

    monkeypatch.setattr(server, "_delete_artifact", refuse)
    said: list[str] = []
    with begin(said, keep=1) as tracker:
        for step in (1, 2):
            log_model(tracker, tmp_path, step, f"epoch-{step}")
    assert said == []
    assert list(server.versions("asr-model", "speech")) == ["v0", "v1"]
    assert ledger(tracker)["state"] == "sent"


def test_the_best_model_is_linked_to_the_registry(server: Loopback, tmp_path: Path) -> None:
    with begin(registry=REGISTRY) as tracker:
        log_model(tracker, tmp_path, 1, "epoch-1", "best")
        log_model(tracker, tmp_path, 2, "epoch-2")
        log_model(tracker, tmp_path, 3, "final")
    (linked,) = server.versions("asr", "wandb-registry-model", ORGANISATION)
    (member,) = server.collections[ORGANISATION, "wandb-registry-model", "asr"].members
    assert (linked, json.loads(member.artifact["metadata"])["step"]) == ("v0", 1)
    assert ledger(tracker)["links"] == {}


def test_the_final_model_is_linked_where_there_is_no_best(server: Loopback, tmp_path: Path) -> None:
    with begin(registry=REGISTRY) as tracker:
        log_model(tracker, tmp_path, 3, "final")
    (member,) = server.collections[ORGANISATION, "wandb-registry-model", "asr"].members
    assert json.loads(member.artifact["metadata"])["run_id"] == tracker.run_id


def test_a_link_that_is_refused_is_made_up_for(
    server: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from asr_gate.tracking.sync import pending, sync
    from tests.tracking.loopback_state import Refused

    said: list[str] = []

    def refuse(_: object) -> None:
        raise Refused("no such registry")

    with monkeypatch.context() as patch:
        patch.setattr(server, "_link", refuse)
        with begin(said, registry=REGISTRY) as tracker:
            log_model(tracker, tmp_path, 1, "best")
    (line,) = said
    assert f"asr-model:best is not linked to {REGISTRY}" in line
    assert "asr sync wandb/run-" in line
    # All else is there, and is not sent again.
    assert ledger(tracker)["state"] == "sent"
    assert ledger(tracker)["links"] == {"asr-model:best": REGISTRY}
    rows = len(server.history(tracker.run_id))
    (done,) = sync(pending())
    assert (done.sent, done.problem) == (False, "")
    assert server.versions("asr", "wandb-registry-model", ORGANISATION) == {"v0": ["latest"]}
    assert (ledger(tracker)["links"], pending()) == ({}, [])
    assert len(server.history(tracker.run_id)) == rows


def test_an_alias_that_a_run_beside_moved_is_no_loss(server: Loopback, tmp_path: Path) -> None:
    said: list[str] = []
    one, two = begin(said), begin(said)
    log_model(one, tmp_path, 1, "epoch-1")
    wait_for(server, 1)
    log_model(two, tmp_path, 1, "epoch-1")
    wait_for(server, 2)
    one.finish()
    two.finish()
    assert said == []
    assert ledger(one)["state"] == ledger(two)["state"] == "sent"


def test_an_offline_run_with_a_model_asks_nobody(
    server: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.behave("500")
    with begin(mode="offline", registry=REGISTRY) as tracker:
        log_model(tracker, tmp_path, 1, "best")
    assert server.operations == []
    assert ledger(tracker)["links"] == {"asr-model:best": REGISTRY}


# Runs that go on


def test_a_run_goes_on_at_its_step(server: Loopback) -> None:
    with begin() as first:
        for step in (1, 2, 3):
            first.log_metrics({"loss": step}, step=step)
    said: list[str] = []
    with begin(said, run_id=first.run_id, after=2) as again:
        assert (again.run_id, again.mode) == (first.run_id, "online")
        for step in (3, 4, 5):  # the third is there already
            again.log_metrics({"loss": -step}, step=step)
    assert said == []
    rows = [(row["_step"], row["loss"]) for row in server.history(first.run_id)]
    assert rows == [(1, 1), (2, 2), (3, 3), (4, -4), (5, -5)]
    assert server.runs[first.run_id]["state"] == "finished"
    assert again.run_path != first.run_path


def test_what_a_killed_start_did_not_send_is_made_up_for(server: Loopback) -> None:
    first = begin()
    for step in (1, 2, 3):
        first.log_metrics({"train/loss": step, "train/step": step}, step=step)
    assert pending(Path()) == []  # it is being made
    connection._stop_service()  # with rows that it has not sent
    rows = [{"train/loss": step, "train/step": step} for step in (1, 2, 3)]
    with begin(run_id=first.run_id, after=3) as again:
        again.make_up(rows)
        again.log_metrics({"train/loss": 4, "train/step": 4}, step=4)
    history = server.history(first.run_id)
    assert [(row["_step"], row["train/loss"]) for row in history] == [(n, n) for n in (1, 2, 3, 4)]
    # Sent now, the earlier folder would be written over all that.
    assert ledger(first)["state"] == "continued"
    assert (ledger(again)["state"], pending(Path())) == ("sent", [])


def test_never_begins_another(server: Loopback) -> None:
    with begin() as first:
        first.log_metrics({"loss": 1}, step=1)
    with begin(run_id=first.run_id, resume="never") as again:
        again.log_metrics({"loss": 2}, step=1)
    assert again.run_id != first.run_id
    assert [row["loss"] for row in server.history(again.run_id)] == [2]


def test_a_run_that_the_server_does_not_have(server: Loopback) -> None:
    with begin(run_id="gone1234", resume="allow") as tracker:
        tracker.log_metrics({"loss": 1}, step=7)
    assert (tracker.run_id, tracker.mode) == ("gone1234", "online")
    assert [row["_step"] for row in server.history("gone1234")] == [7]
    with pytest.raises(TrackingError, match=r"gone5678 cannot be gone on with.*resume=allow") as e:
        begin(run_id="gone5678", resume="must")
    assert "\n" not in str(e.value)
    assert "gone5678" not in server.runs


def test_must_is_an_error_without_a_server_too(
    server: Loopback, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.behave("401")
    with pytest.raises(TrackingError, match=r"abcd1234 cannot be gone on with: .*401"):
        begin(run_id="abcd1234", resume="must")
    said: list[str] = []
    with begin(said, run_id="abcd1234", resume="allow") as tracker:
        tracker.log_metrics({"loss": 1})
    # Two of one id could not both be sent.
    assert (tracker.mode, tracker.run_id == "abcd1234") == ("offline", False)
    assert len(said) == 1
