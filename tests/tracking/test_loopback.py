"""That the real client can do against the loopback server what our own tests rely on."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import wandb
from wandb.sdk.lib.service.service_connection import WandbApiFailedError

from tests.tracking.isolation import FAKE_KEY, isolated_wandb
from tests.tracking.loopback import ENTITY, ORGANISATION, Loopback

PROJECT = f"{ENTITY}/speech"


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Loopback, dict[str, str]]]:
    """One server and one client's service for all tests of this file, and their environment."""
    with isolated_wandb(tmp_path_factory.mktemp("client")) as environment, Loopback() as server:
        login = {"WANDB_API_KEY": FAKE_KEY, "WANDB_BASE_URL": server.url, "WANDB_SILENT": "true"}
        yield server, environment | login
        server.behave("ok")
        wandb.teardown()
        assert server.unknown == []


@pytest.fixture(autouse=True)
def server(
    client: tuple[Loopback, dict[str, str]], monkeypatch: pytest.MonkeyPatch, _isolated: None
) -> Loopback:
    """The server, answering; for each test, as all variables of the client are unset before it."""
    server, environment = client
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    server.behave("ok")
    return server


def start(**options: Any) -> wandb.Run:
    settings = wandb.Settings(x_disable_stats=True, x_file_stream_transmit_interval=0.2)
    where: dict[str, Any] = {"project": "speech", "entity": ENTITY}
    return wandb.init(settings=settings, reinit="create_new", **where | options)


def artifact(folder: Path, name: str, text: str, kind: str = "report", **of: Any) -> wandb.Artifact:
    folder.mkdir(exist_ok=True)
    (folder / "report.json").write_text(text)
    made = wandb.Artifact(name, kind, **of)
    made.add_dir(str(folder))
    return made


def log(folder: Path, name: str, *texts: str, aliases: list[str] | None = None) -> wandb.Run:
    """A finished run with a version of an artifact for each text."""
    with start() as run:
        for text in texts:
            run.log_artifact(artifact(folder / name, name, text), aliases=aliases).wait(30)
    return run


def raw(content: dict[str, Any]) -> dict[str, Any]:
    """What was logged, without what the client adds."""
    return {name: value for name, value in content.items() if not name.startswith("_")}


def test_a_run_is_logged_and_read_back(server: Loopback, tmp_path: Path) -> None:
    config = {"seed": 7, "phase0": {"decision": "STOP"}}
    options = {"name": "audit", "group": "g", "job_type": "data_quality", "tags": ["a", "b"]}
    with start(notes="first", config=config, **options) as run:
        run.log({"wer": 0.5, "loss": 2})
        run.log({"wer": 0.25})
        run.log({"wer": 0.125, "loss": 1}, step=10)
        run.summary["best"] = 0.125
        settled: Any = run.config
        settled.update({"seed": 8}, allow_val_change=True)
        (tmp_path / "page.txt").write_text("page")
        run.save(str(tmp_path / "page.txt"), base_path=str(tmp_path), policy="now")

    assert server.config(run.id) == config | {"seed": 8}
    assert server.summary(run.id)["best"] == 0.125
    assert [row["_step"] for row in server.history(run.id)] == [0, 1, 10]
    assert server.run_files(run.id)["page.txt"] == b"page"

    read = wandb.Api().run(f"{PROJECT}/{run.id}")
    assert (read.name, read.group, read.job_type) == ("audit", "g", "data_quality")
    assert (read.tags, read.notes, read.state) == (["a", "b"], "first", "finished")
    assert read.config == config | {"seed": 8}
    assert raw(dict(read.summary)) == {"wer": 0.125, "loss": 1, "best": 0.125}
    assert [(row["_step"], row["wer"]) for row in read.history(pandas=False)] == [
        (0, 0.5),
        (1, 0.25),
        (10, 0.125),
    ]
    assert list(read.history(keys=["loss"], pandas=False)) == [
        {"_step": 0, "loss": 2},
        {"_step": 10, "loss": 1},
    ]
    assert [raw(row) for row in read.scan_history()] == [
        {"wer": 0.5, "loss": 2},
        {"wer": 0.25},
        {"wer": 0.125, "loss": 1},
    ]
    assert [row["loss"] for row in read.scan_history(keys=["_step", "loss"])] == [2, 1]
    assert {"page.txt", "config.yaml", "wandb-metadata.json"} <= {f.name for f in read.files()}


def test_runs_are_found_by_their_fields(server: Loopback) -> None:
    with start(project="many", name="one", group="x", tags=["t"], config={"seed": 1}):
        pass
    start(project="many", name="two", group="x", job_type="train").finish(exit_code=3)
    api = wandb.Api()

    def found(**filters: Any) -> list[tuple[str, str]]:
        return [(r.name, r.state) for r in api.runs(f"{ENTITY}/many", filters)]

    assert found() == found(group="x") == [("one", "finished"), ("two", "failed")]
    assert found(state="failed") == found(job_type="train") == [("two", "failed")]
    assert found(tags="t") == found(**{"config.seed": 1}) == [("one", "finished")]
    assert found(display_name="none") == []
    with pytest.raises(WandbApiFailedError, match="does not know the filter"):
        found(color="red")
    with pytest.raises(wandb.errors.CommError, match="Could not find run"):
        api.run(f"{ENTITY}/many/nosuch")


def test_versions_aliases_and_metadata_of_an_artifact(server: Loopback, tmp_path: Path) -> None:
    with start() as run:
        for number, text in enumerate(["a", "b"]):
            version = artifact(tmp_path / "v", "versions", text, metadata={"wer": number})
            run.log_artifact(version, aliases=[f"epoch-{number}", "best"]).wait(30)
            assert (version.version, version.metadata) == (f"v{number}", {"wer": number})
        again = artifact(tmp_path / "v", "versions", "a")
        run.log_artifact(again, aliases=["final"]).wait(30)
        assert again.version == "v0"  # the same bytes make no new version

    # `latest` is the client's own addition, and moves to an old version logged again.
    assert server.versions("versions", "speech") == {
        "v0": ["epoch-0", "final", "latest"],
        "v1": ["best", "epoch-1"],
    }
    api = wandb.Api()
    best = api.artifact(f"{PROJECT}/versions:best")
    assert (best.version, sorted(best.aliases), best.metadata) == (
        "v1",
        ["best", "epoch-1"],
        {"wer": 1},
    )
    listed = api.artifacts("report", f"{PROJECT}/versions")
    assert [item.version for item in listed] == ["v1", "v0"]
    assert "versions" in [item.name for item in api.artifact_collections(PROJECT, "report")]
    assert "report" in [item.name for item in api.artifact_types(PROJECT)]
    assert api.artifact_exists(f"{PROJECT}/versions:v1")
    assert not api.artifact_exists(f"{PROJECT}/versions:v2")


def test_an_artifact_comes_back_whole_or_not_at_all(server: Loopback, tmp_path: Path) -> None:
    (tmp_path / "in" / "sub").mkdir(parents=True)
    (tmp_path / "in" / "sub" / "é b.bin").write_bytes(bytes(100_000))
    with start() as run:
        made = artifact(tmp_path / "in", "whole", "{}")
        run.log_artifact(made).wait(30)
    assert server.contents(server.artifacts[-1]) == {
        "report.json": b"{}",
        "sub/é b.bin": bytes(100_000),
    }

    read = wandb.Api().artifact(f"{PROJECT}/whole:latest")
    assert (read.digest, read.size) == (made.digest, 100_002)
    root = Path(read.download(str(tmp_path / "out"), skip_cache=True))
    assert (root / "report.json").read_text() == "{}"
    assert (root / "sub" / "é b.bin").read_bytes() == bytes(100_000)
    read.verify(str(root))
    (root / "report.json").write_text("[]")
    with pytest.raises(ValueError, match="Digest mismatch"):
        read.verify(str(root))


def test_lineage_is_read_back_from_both_ends(server: Loopback, tmp_path: Path) -> None:
    audit = log(tmp_path, "lineage", "{}", aliases=["proceed"])
    with start(job_type="train") as train:
        used = train.use_artifact(f"{PROJECT}/lineage:proceed")
        train.log_artifact(artifact(tmp_path / "m", "model", "weights", "model")).wait(30)
        assert used.version == "v0"

    api = wandb.Api()
    report = api.artifact(f"{PROJECT}/lineage:latest")
    producer = report.logged_by()
    assert producer is not None
    assert producer.id == audit.id
    assert [run.id for run in report.used_by()] == [train.id]
    run = api.run(f"{PROJECT}/{train.id}")
    assert [item.name for item in run.used_artifacts()] == ["lineage:v0"]
    assert [item.name for item in run.logged_artifacts()] == ["model:v0"]


def test_aliases_and_metadata_are_edited(server: Loopback, tmp_path: Path) -> None:
    log(tmp_path, "edited", "1", "2")
    api = wandb.Api()
    old = api.artifact(f"{PROJECT}/edited:v0")
    old.aliases.append("best")
    old.metadata["wer"] = 0.5
    old.save()
    new = api.artifact(f"{PROJECT}/edited:v1")
    new.aliases.append("best")
    new.save()
    assert server.versions("edited", "speech") == {"v0": [], "v1": ["best", "latest"]}
    new.aliases.remove("best")
    new.save()
    assert server.versions("edited", "speech") == {"v0": [], "v1": ["latest"]}
    assert api.artifact(f"{PROJECT}/edited:v0").metadata == {"wer": 0.5}


def test_a_version_is_deleted(server: Loopback, tmp_path: Path) -> None:
    run = log(tmp_path, "deleted", "1", "2", "3")
    api = wandb.Api()
    api.artifact(f"{PROJECT}/deleted:v0").delete()
    latest = api.artifact(f"{PROJECT}/deleted:v2")
    with pytest.raises(wandb.errors.CommError, match="has aliases"):
        latest.delete()
    latest.delete(delete_aliases=True)
    assert server.versions("deleted", "speech") == {"v1": []}
    left = api.run(f"{PROJECT}/{run.id}").logged_artifacts()
    assert [item.name for item in left] == ["deleted:v1"]
    log(tmp_path, "deleted", "4")
    assert list(server.versions("deleted", "speech")) == ["v1", "v3"]


def test_an_artifact_is_linked_to_a_registry_and_a_portfolio(
    server: Loopback, tmp_path: Path
) -> None:
    with start() as run:
        model = artifact(tmp_path / "m", "linked", "weights", "model")
        run.log_artifact(model).wait(30)
        run.link_artifact(model, "wandb-registry-model/asr", aliases=["staging"])
        run.link_artifact(model, "portfolio")
    api = wandb.Api()
    linked = api.artifact(f"{ORGANISATION}/wandb-registry-model/asr:staging")
    assert linked.is_link
    assert linked.source_qualified_name == f"{PROJECT}/linked:v0"
    links = api.artifact(f"{PROJECT}/linked:v0").linked_artifacts
    assert [item.qualified_name for item in links] == [
        f"{ORGANISATION}/wandb-registry-model/asr:v0",
        f"{PROJECT}/portfolio:v0",
    ]
    # Whose registry it is, the client asks by the entity of the artifact.
    assert {"entity": ENTITY} in server.asked("FetchOrgInfoFromEntity")


@pytest.mark.parametrize("resume", ["must", "allow"])
def test_a_run_is_resumed_at_its_step(server: Loopback, resume: str) -> None:
    with start(name="long", tags=["t"], config={"seed": 7}) as run:
        run.log({"a": 1})
        run.log({"a": 2})
    with start(id=run.id, resume=resume, config={"more": 1}) as again:
        assert again.resumed
        assert (again.name, dict(again.config)) == ("long", {"seed": 7, "more": 1})
        assert again.summary["a"] == 2
        assert again.starting_step == 2  # `step` says 0 until the first row
        again.log({"a": 3})
    assert [(row["_step"], row["a"]) for row in server.history(run.id)] == [(0, 1), (1, 2), (2, 3)]
    assert server.config(run.id) == {"seed": 7, "more": 1}


def test_what_is_not_there_is_resumed_only_where_that_is_allowed(server: Loopback) -> None:
    with pytest.raises(wandb.errors.UsageError, match="does not exist"):
        start(id="nosuchrun", resume="must")
    with start(id="newrun", resume="allow") as run:
        assert not run.resumed
    assert server.runs["newrun"]["state"] == "finished"


def test_alerts_arrive(server: Loopback) -> None:
    with start() as run:
        run.alert("Loss spike", "at step 10", level="WARN")
    (alert,) = [item for item in server.alerts if item["runName"] == run.id]
    assert (alert["title"], alert["text"], alert["severity"]) == (
        "Loss spike",
        "at step 10",
        "WARN",
    )


def test_an_artifact_logged_by_a_record_is_uploaded(server: Loopback, tmp_path: Path) -> None:
    """As an offline run does, and as a run does whose artifacts must survive its server."""
    with start() as run:
        assert run._interface is not None
        for text, by_user in (("run's", False), ("user's", True)):
            made = artifact(tmp_path / "p", "published", text)
            made.finalize()
            run._interface.publish_artifact(run, made, [text[0]], is_user_created=by_user)
    api = wandb.Api()
    read = api.artifact(f"{PROJECT}/published:r")
    assert Path(read.file(str(tmp_path / "out"))).read_text() == "run's"
    producer = read.logged_by()
    assert producer is not None
    assert producer.id == run.id
    # `is_user_created` means that no run made it, although the public method calls it otherwise.
    assert api.artifact(f"{PROJECT}/published:u").logged_by() is None


def sync(folder: Path, *options: str) -> None:
    command = [sys.executable, "-m", "wandb", "sync", *options, str(folder)]
    sent = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert sent.returncode == 0, sent.stderr


def test_an_offline_run_is_synced_once(server: Loopback, tmp_path: Path) -> None:
    offline = {"mode": "offline", "entity": None}  # whose it is, the server knows by the login
    with start(**offline, name="off", group="g", config={"seed": 7}) as run:
        for text in ("1", "2"):
            run.log_artifact(artifact(tmp_path / "o", "offline", text), aliases=[f"e{text}"])
        run.log({"a": 1})
        run.log({"a": 2})
        run.alert("STOP", "text")
    folder = Path(run.dir).parent
    assert run.id not in server.runs

    sync(folder)
    read = wandb.Api().run(f"{PROJECT}/{run.id}")
    assert (read.name, read.group, read.state, read.config) == (
        "off",
        "g",
        "finished",
        {"seed": 7},
    )
    assert [row["a"] for row in read.scan_history()] == [1, 2]
    assert [item.name for item in read.logged_artifacts()] == ["offline:v0", "offline:v1"]
    versions = {"v0": ["e1"], "v1": ["e2", "latest"]}
    assert server.versions("offline", "speech") == versions
    logged = wandb.Api().artifact(f"{PROJECT}/offline:e1")
    assert Path(logged.file(str(tmp_path / "out"))).read_text() == "1"

    asked = len(server.operations)
    sync(folder)  # what was sent is marked so on the disk
    assert len(server.operations) == asked

    sync(folder, "--include-synced")
    assert server.versions("offline", "speech") == versions
    assert server.runs[run.id]["state"] == "finished"
    # Rows and alerts go again. The steps are those of before, for the server to tell.
    assert [row["_step"] for row in server.history(run.id)] == [0, 1, 0, 1]
    assert [item["title"] for item in server.alerts if item["runName"] == run.id] == ["STOP"] * 2


def test_lineage_is_added_later_and_nothing_else_changes(server: Loopback, tmp_path: Path) -> None:
    log(tmp_path, "later", "{}", aliases=["proceed"])
    run = start(mode="offline", name="train", tags=["t"], config={"seed": 7})
    run.log({"a": 1})
    run.finish(exit_code=1)
    sync(Path(run.dir).parent)
    before = {name: value for name, value in server.runs[run.id].items() if name != "used"}
    files = server.run_files(run.id)

    asked = len(server.operations)
    api = wandb.Api()
    for _ in range(2):  # a second time does no harm
        api.run(f"{PROJECT}/{run.id}").use_artifact(api.artifact(f"{PROJECT}/later:proceed"))
    assert {name for name, _ in server.operations[asked:]} <= {
        "Viewer",
        "GetDefaultEntity",
        "ServerFeaturesQuery",
        "OrganizationCoreWeaveOrganizationID",
        "Run",
        "ArtifactMembershipByName",
        "UseArtifact",
    }
    after = dict(server.runs[run.id])
    assert [server.artifacts[-1]["id"]] == after.pop("used")
    assert after == before
    assert server.run_files(run.id) == files
    assert [r.id for r in api.artifact(f"{PROJECT}/later:v0").used_by()] == [run.id]

    # Resuming the run does it as well, but makes a failed run a finished one, and a shorter one.
    with start(id=run.id, resume="must") as again:
        again.use_artifact(f"{PROJECT}/later:proceed")
    assert (before["state"], server.runs[run.id]["state"]) == ("failed", "finished")


def after(seconds: float, call: Callable[[], None]) -> None:
    timer = threading.Timer(seconds, call)
    timer.daemon = True
    timer.start()


@pytest.mark.parametrize("behaviour", ["429", "500", "silent"])
def test_a_server_that_is_back_midway_gets_all(
    server: Loopback, tmp_path: Path, behaviour: str
) -> None:
    with start() as run:
        run.log({"a": 1})
        committed = server.artifacts[-1:]
        server.behave(behaviour, at="CommitArtifact")
        made = run.log_artifact(artifact(tmp_path / "back", "back", behaviour))
        deadline = time.monotonic() + 10
        while server.behaviour != behaviour:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert server.asked("CreateArtifact")[-1]["input"]["artifactCollectionName"] == "back"
        assert server.artifacts[-1:] == committed
        after(0.5, lambda: server.behave("ok"))
        made.wait(30)
        run.log({"a": 2})
    assert server.contents(server.artifacts[-1]) == {"report.json": behaviour.encode()}
    assert [row["a"] for row in server.history(run.id)] == [1, 2]
    assert server.runs[run.id]["state"] == "finished"


def test_a_slow_server_is_waited_for(server: Loopback) -> None:
    server.behave("slow", seconds=0.3)
    began = time.monotonic()
    with start() as run:
        run.log({"a": 1})
    assert time.monotonic() - began > 0.9
    assert [row["a"] for row in server.history(run.id)] == [1]


def test_a_refused_login(server: Loopback) -> None:
    asked = server.asked("UpsertBucket")
    server.behave("401")
    began = time.monotonic()
    with pytest.raises(wandb.errors.CommError):  # without a word of why
        start()
    assert time.monotonic() - began < 5
    assert server.asked("UpsertBucket") == asked


def test_what_a_failing_server_answers() -> None:
    with Loopback() as failing:

        def ask() -> int:
            body = b'{"query": "query Viewer { viewer { id } }"}'
            with urllib.request.urlopen(f"{failing.url}/graphql", body, timeout=5) as answer:
                return int(answer.status)

        assert ask() == 200
        for behaviour in ("401", "429", "500"):
            failing.behave(behaviour, seconds=7)
            with pytest.raises(urllib.error.HTTPError) as caught:
                ask()
            caught.value.close()
            assert caught.value.code == int(behaviour)
            assert caught.value.headers["Retry-After"] == ("7" if behaviour == "429" else None)
        failing.behave("silent")
        after(0.3, lambda: failing.behave("ok"))
        with pytest.raises(ConnectionError):
            ask()
        assert ask() == 200
        with pytest.raises(ValueError, match="cannot be 'lost'"):
            failing.behave("lost")
        failing.behave("closed", at="Viewer")
        assert failing.behaviour == "ok"
        for _ in range(2):
            with pytest.raises((ConnectionError, urllib.error.URLError)):
                ask()
        assert len(failing.asked("Viewer")) == 2
