"""Online runs against a server on loopback: artifacts, models, lineage, resumed runs."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from asr_gate.corpus.datasets import add_version
from asr_gate.corpus.read import read_corpus
from asr_gate.tracking import Tracker, TrackingError
from asr_gate.tracking.datasets import log_dataset, use_dataset
from asr_gate.tracking.sync import pending
from asr_gate.tracking.sync_state import SyncState, read_sync_state
from asr_gate.tracking.wandb_private import kill_service
from tests.tracking.loopback import ENTITY, ORGANISATION, Loopback
from tests.tracking.loopback_state import Refused
from tests.tracking.offline import read_run

REGISTRY = "wandb-registry-model/asr"


def begin(said: list[str] | None = None, run_id: str | None = None, **given: Any) -> Tracker:
    lines = [] if said is None else said
    # Silent but for warnings: where the run is, is said in every run.
    given = {"project": "speech", "system_metrics": False, "silent": True} | given
    after = given.pop("after", None)
    return Tracker(enabled=True, say=lines.append, **given).init(run_id=run_id, after=after)


def log_model(tracker: Tracker, folder: Path, step: int, *aliases: str) -> str:
    """Log a model with content of its own for each run and step."""
    path = folder / f"{tracker.run_id}-{step}"
    path.mkdir()
    (path / "weights").write_text(path.name)
    return tracker.log_model_artifact(path, "asr-model", aliases, {"step": step, "wer": 1 / step})


def state(tracker: Tracker) -> SyncState:
    assert tracker.run_path is not None
    return read_sync_state(tracker.run_path)


def wait_for(server: Loopback, artifacts: int) -> None:
    deadline = time.monotonic() + 10
    while len(server.artifacts) < artifacts:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def refuse(*_: object) -> None:
    raise Refused("not today")


def test_an_online_run(server: Loopback, tmp_path: Path) -> None:
    (tmp_path / "report.json").write_text("{}")
    said: list[str] = []
    named = {"run_name": "phase0-audit", "group": "g", "job_type": "audit", "tags": "a"}
    with begin(said, silent=False, **named) as tracker:
        assert tracker.mode == "online"
        address = f"{server.url}/{ENTITY}/speech/runs/{tracker.run_id}"
        assert said == [f"W&B: on (as asked): {address}"]
        said.clear()
        tracker.define("a", axis="b", best="min")
        tracker.log_metrics({"a": 1})
        metadata = {"decision": "PROCEED"}
        reference = tracker.log_artifact(
            tmp_path / "report.json", "report", "report", aliases=["proceed"], metadata=metadata
        )
        wait_for(server, 1)
        assert tracker.use_artifact(reference) is True
        assert tracker.use_artifact("wandb-offline:abc/report:proceed") is False
        assert tracker.use_artifact(f"wandb:{ENTITY}/speech/nosuch:latest") is False
        server.behave("401")
        assert tracker.use_artifact(reference, "abc") is False
        server.behave("ok")
    (line,) = said
    assert "asr sync links it later" in line
    assert reference == f"wandb:{ENTITY}/speech/report:proceed"
    assert tracker.digest_of(reference) == server.artifacts[0]["digest"]
    run = server.runs[tracker.run_id]
    assert (run["displayName"], run["groupName"], run["jobType"]) == ("phase0-audit", "g", "audit")
    assert (run["tags"], run["used"]) == (["a"], [server.artifacts[0]["id"]])
    assert json.loads(server.artifacts[0]["metadata"]) == metadata
    assert len(state(tracker).uses) == 3
    # It is on disk, too, in case the server is lost later.
    assert tracker.run_path is not None
    assert read_run(tracker.run_path).artifact("report").aliases == ["latest", "proceed"]


def test_a_run_goes_through_the_proxy(
    fresh_client: None, server: Loopback, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_BASE_URL", "http://nowhere.invalid")
    monkeypatch.setenv("WANDB_HTTP_PROXY", server.url)
    with begin() as tracker:
        tracker.log_metrics({"a": 1})
    assert tracker.mode == "online"
    assert [row["a"] for row in server.history(tracker.run_id)] == [1]


# Models


def test_old_versions_of_this_run_go_and_all_others_stay(server: Loopback, tmp_path: Path) -> None:
    with begin() as other:
        log_model(other, tmp_path, 1, "epoch-1")
        log_model(other, tmp_path, 2, "step-20")
    said: list[str] = []
    tracker = begin(said, keep=2)
    for number, aliases in enumerate(
        (
            ["epoch-1"],  # a person gives it an alias, below
            ["epoch-2", "best"],  # the best, but not for long
            ["step-30", "best"],
            ["epoch-4"],
            ["epoch-5", "final"],
            ["epoch-6"],
        ),
        1,
    ):
        log_model(tracker, tmp_path, number, *aliases)
        wait_for(server, 2 + number)
    versions = server.collections[ENTITY, "speech", "asr-model"]
    versions.move(["keep-me"], versions.members[2])
    tracker.finish()
    assert said == []
    assert server.versions("asr-model", "speech") == {
        "v0": [],  # a later run took its alias; it is another run's all the same
        "v1": ["step-20"],
        "v2": ["epoch-1", "keep-me"],
        "v4": ["best", "step-30"],
        "v6": ["epoch-5", "final"],
        "v7": ["epoch-6", "latest"],
    }
    (best,) = [member for member in versions.members if "best" in member.aliases]
    expected = {"step": 3, "wer": 1 / 3, "run_id": tracker.run_id}
    assert json.loads(best.artifact["metadata"]) == expected


def test_a_version_that_cannot_be_deleted_stays(
    server: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "_delete_artifact", refuse)
    said: list[str] = []
    with begin(said, keep=1) as tracker:
        for step in (1, 2):
            log_model(tracker, tmp_path, step, f"epoch-{step}")
    assert said == []
    assert list(server.versions("asr-model", "speech")) == ["v0", "v1"]
    assert state(tracker).state == "sent"


def test_a_training_links_nothing_to_the_registry(server: Loopback, tmp_path: Path) -> None:
    with begin(registry=REGISTRY) as tracker:
        log_model(tracker, tmp_path, 1, "best", "final")
    assert (ORGANISATION, "wandb-registry-model", "asr") not in server.collections


def test_an_alias_that_another_run_took_is_no_loss(server: Loopback, tmp_path: Path) -> None:
    said: list[str] = []
    one, two = begin(said), begin(said)
    for number, tracker in enumerate((one, two), 1):
        log_model(tracker, tmp_path, 1, "epoch-1")
        wait_for(server, number)
    one.finish()
    two.finish()
    assert said == []
    assert state(one).state == state(two).state == "sent"


def test_an_artifact_that_the_server_refuses_is_named(
    server: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "_create_artifact", refuse)
    said: list[str] = []
    with begin(said) as tracker:
        log_model(tracker, tmp_path, 1)
    (line,) = said
    assert "no artifact asr-model:latest" in line
    assert state(tracker).state == "unsent"


# Resumed runs


def test_a_run_is_resumed_at_its_step(server: Loopback) -> None:
    with begin() as first:
        for step in (1, 2, 3):
            first.log_metrics({"loss": step}, step=step)
    said: list[str] = []
    with begin(said, run_id=first.run_id, after=2) as again:
        assert (again.run_id, again.mode) == (first.run_id, "online")
        for step in (3, 4, 5):  # the server has the third
            again.log_metrics({"loss": -step}, step=step)
    assert said == []
    rows = [(row["_step"], row["loss"]) for row in server.history(first.run_id)]
    assert rows == [(1, 1), (2, 2), (3, 3), (4, -4), (5, -5)]
    assert server.runs[first.run_id]["state"] == "finished"
    assert again.run_path != first.run_path
    with begin(run_id=first.run_id, resume="never") as another:
        pass
    assert another.run_id != first.run_id


def test_rows_that_a_killed_start_did_not_send_are_logged_again(server: Loopback) -> None:
    first = begin()
    rows = [{"train/loss": step, "train/step": step} for step in (1, 2, 3)]
    for row in rows:
        first.log_metrics(row, step=row["train/step"])
    assert pending(Path()) == []  # it is being made
    kill_service()  # before it has sent all rows
    with begin(run_id=first.run_id, after=3) as again:
        again.make_up(rows)
        again.log_metrics({"train/loss": 4, "train/step": 4}, step=4)
    history = server.history(first.run_id)
    assert [(row["_step"], row["train/loss"]) for row in history] == [(n, n) for n in (1, 2, 3, 4)]
    # If the earlier folder were sent now, it would overwrite these rows.
    assert state(first).state == "continued"
    assert (state(again).state, pending(Path())) == ("sent", [])


def test_a_damaged_state_of_an_earlier_start_is_said(server: Loopback) -> None:
    with begin() as first:
        pass
    assert first.run_path is not None
    (first.run_path / "asr.json").write_text("{")
    said: list[str] = []
    with begin(said, run_id=first.run_id):
        pass
    assert len(said) == 1


def test_a_run_that_the_server_does_not_have(server: Loopback) -> None:
    with begin(run_id="gone1234", resume="allow") as tracker:
        tracker.log_metrics({"loss": 1}, step=7)
    assert (tracker.run_id, tracker.mode) == ("gone1234", "online")
    with pytest.raises(TrackingError, match=r"gone5678.*resume=allow") as caught:
        begin(run_id="gone5678", resume="must")
    assert "\n" not in str(caught.value)
    assert "gone5678" not in server.runs
    server.behave("401")
    with pytest.raises(TrackingError, match=r"abcd1234.*401"):
        begin(run_id="abcd1234", resume="must")
    with begin(run_id="abcd1234", resume="allow") as tracker:
        # The server could not take two runs with one id.
        assert (tracker.mode, tracker.run_id == "abcd1234") == ("offline", False)


def test_a_dataset_is_an_input_of_the_runs_that_use_it(
    server: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rows.jsonl").write_text('{"audio_filepath": "a.wav", "text": "x", "split": "dev"}')
    made, _ = add_version("calls", read_corpus([tmp_path / "rows.jsonl"]), {"deletion": 3})
    with begin() as tracker:
        log_dataset(tracker, made)
    with begin() as tracker:
        use_dataset(tracker, made.fingerprint)
        use_dataset(tracker, "sha256:of other rows")
        use_dataset(tracker, None)
    assert server.versions("dataset-calls", "speech") == {"v0": ["latest", "version-1"]}
    (dataset,) = [one for one in server.artifacts if one["artifactTypeName"] == "dataset"]
    assert server.runs[tracker.run_id]["used"] == [dataset["id"]]
    assert json.loads(dataset["metadata"])["splits"] == {"dev": 1}
