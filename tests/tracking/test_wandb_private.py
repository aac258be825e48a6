"""The private parts of the W&B client: these tests fail when the client changes them."""

from __future__ import annotations

import inspect
import logging
import tomllib
from pathlib import Path

import psutil
import pytest
import wandb
from packaging.requirements import Requirement
from wandb.sdk.interface.interface import InterfaceBase

from asr_gate.tracking import Tracker, wandb_private
from tests.speech import ROOT
from tests.tracking.loopback import ENTITY, Loopback
from tests.tracking.offline import read_run


def start(**settings: object) -> tuple[Tracker, wandb.Run]:
    """An online run, and the client's own object for it."""
    tracker = Tracker(enabled=True, project="speech", system_metrics=False, **settings).init()
    sink = tracker._wandb
    assert sink is not None
    return tracker, sink._open_run


def services() -> list[psutil.Process]:
    """The service processes of this process' client."""
    children = psutil.Process().children()
    return [child for child in children if child.name() == wandb_private.SERVICE_PROCESS]


def test_the_extra_allows_no_other_version_than_the_one_tried_here() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    [text] = [one for one in project["optional-dependencies"]["wandb"] if one.startswith("wandb")]
    allowed = Requirement(text).specifier
    assert wandb.__version__ in allowed
    assert wandb.__version__.startswith("0.31.")
    assert "0.32.0" not in allowed


def test_the_parts_have_the_form_that_we_rely_on() -> None:
    parameters = inspect.signature(InterfaceBase.publish_artifact).parameters
    assert list(parameters)[:4] == ["self", "run", "artifact", "aliases"]
    assert {"is_user_created", "use_after_commit"} <= parameters.keys()
    assert "_cached_public_api" in inspect.getsource(wandb.Run._public_api)
    for error in wandb_private.service_errors():
        assert issubclass(error, Exception)
        assert not issubclass(error, wandb.Error)
    experimental = wandb_private.experimental_settings(system_metrics=False)
    assert experimental.keys() <= wandb.Settings.model_fields.keys()


def test_a_published_artifact_is_in_the_folder_and_on_the_server(
    server: Loopback, tmp_path: Path
) -> None:
    (tmp_path / "report.json").write_text("{}")
    tracker, run = start()
    made, used = wandb.Artifact("output", "report"), wandb.Artifact("input", "model")
    made.add_file(str(tmp_path / "report.json"))
    used.add_reference("https://example.org/model", checksum=False)
    for artifact, use in ((made, False), (used, True)):
        artifact.finalize()
        wandb_private.publish_artifact(run, artifact, ["latest"], use=use)
    tracker.finish()
    assert tracker.run_path is not None
    assert {one.name for one in read_run(tracker.run_path).artifacts} == {"output", "input"}
    assert server.versions("output", "speech") == {"v0": ["latest"]}
    producer = wandb.Api().artifact(f"{ENTITY}/speech/output:latest").logged_by()
    assert producer is not None
    assert producer.id == run.id
    names = {one["id"]: one["artifactCollectionName"] for one in server.artifacts}
    assert [names[one] for one in server.runs[run.id]["used"]] == ["input"]


def test_the_run_uses_the_api_that_it_is_given(server: Loopback) -> None:
    with start()[0] as tracker:
        sink = tracker._wandb
        assert sink is not None
        assert sink._open_run._public_api() is sink._api
        logins = len(server.asked("Viewer"))
        tracker.log_table("t", ["a"], [[1]])  # for its first table the run asks the server
        assert len(server.asked("Viewer")) == logins


def test_the_service_is_killed(server: Loopback, tmp_path: Path) -> None:
    tracker, _ = start(mode="offline", silent=True)
    killed = services()
    wandb_private.kill_service()
    assert killed
    assert psutil.wait_procs(killed, 10)[1] == []
    tracker.finish()
    with start()[0] as again:  # a new one starts
        again.log_metrics({"a": 1})
    assert [row["a"] for row in server.history(again.run_id)] == [1]


def test_a_service_that_dies_costs_one_line_for_each_kind_of_call(
    wandb_environment: None, capfd: pytest.CaptureFixture[str]
) -> None:
    said: list[str] = []
    with Tracker(enabled=True, mode="offline", say=said.append) as tracker:
        tracker.init()
        tracker.log_metrics({"a": 1})
        for service in services():
            service.kill()
            service.wait(10)
        for step in range(20):
            tracker.log_metrics({"a": step})
    assert 2 <= len(said) <= 3, said  # where the run is; metrics; the end
    assert not any("\n" in line for line in said)
    assert "Traceback" not in capfd.readouterr().err


def test_the_debug_log_on_a_full_disk_is_quiet(
    wandb_environment: None, capfd: pytest.CaptureFixture[str]
) -> None:
    with Tracker(enabled=True, mode="offline", silent=True) as tracker:
        tracker.init()
        handlers = [
            handler
            for handler in logging.getLogger("wandb").handlers
            if isinstance(handler, logging.FileHandler)
        ]
        assert handlers
        with Path("/dev/full").open("w") as full:
            streams = [handler.setStream(full) for handler in handlers]
            logging.getLogger("wandb").info("x" * 100_000)
            for handler, stream in zip(handlers, streams, strict=True):
                handler.stream = stream
    assert "Traceback" not in capfd.readouterr().err
