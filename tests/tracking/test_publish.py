"""`asr report publish` and `asr gate wandb:…`, with the real client against a loopback server."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

import asr_gate
from asr_gate.audit.gate import Stopped
from asr_gate.audit.report.artifact import ARTIFACT, read_logged
from asr_gate.tracking import Tracker, TrackerSettings
from asr_gate.tracking.sync import link, pending, sync
from asr_gate.tracking.sync_state import read_sync_state
from asr_gate.train.authorise import Authorisation, authorise_training
from asr_gate.train.observe.refusal import refusals_logged
from asr_gate.train.observe.tracking import use_report
from asr_gate.train.record import RunRecord
from tests.e2e.asr import asr_here
from tests.speech import ROOT
from tests.tracking.loopback import ENTITY, Loopback
from tests.tracking.offline import read_run
from tests.train.support import run_record, write_corpus, write_report

PROJECT = f"{ENTITY}/qwen3-asr-hebrew"
REFERENCE = f"wandb:{PROJECT}/{ARTIFACT}"


def asr(*arguments: object) -> tuple[int, str, str]:
    """The command in the current folder: exit code and what it said on both outputs."""
    done = asr_here(*arguments, cwd=Path.cwd())
    return done.returncode, done.stdout, done.stderr


@pytest.fixture
def folder(wandb_environment: None, tmp_path: Path) -> Path:
    """A report that was never logged."""
    return Path(shutil.copytree(ROOT / "reports" / "example", tmp_path / "phase0"))


@pytest.fixture
def keys(tmp_path: Path) -> tuple[Path, Path]:
    """A private key and its public one."""
    private, public = tmp_path / "key.pem", tmp_path / "key.pub"
    make = ["openssl", "genpkey", "-algorithm", "ed25519", "-out", private]
    subprocess.run(make, check=True, capture_output=True)
    subprocess.run(["openssl", "pkey", "-in", private, "-pubout", "-out", public], check=True)
    return private, public


def test_a_report_is_published_once(server: Loopback, folder: Path) -> None:
    code, said, _ = asr("report", "publish", folder)
    assert (code, f"{REFERENCE}:" in said) == (0, True)
    (artifact,) = [one for one in server.artifacts if one["artifactTypeName"] == "report"]
    report = asr_gate.load_report(folder).content
    alias = report.decision.lower()
    assert server.versions(ARTIFACT, "qwen3-asr-hebrew") == {"v0": sorted([alias, "latest"])}
    assert json.loads(artifact["metadata"])["digest"] == report.digest
    assert set(server.contents(artifact)) == {
        "alignment_report.json", "report.md", *report.tables
    }  # fmt: skip
    run = server.runs[artifact["runName"]]
    assert (run["displayName"], run["jobType"]) == ("phase0-audit", "data_quality")
    logged = {key: value for row in server.history(run["name"]) for key, value in row.items()}
    assert logged["phase0/total_samples"] == report.total_samples
    assert sum(logged["phase0/coverage_histogram"]["values"]) == pytest.approx(1)
    assert "phase0/worst_utterances" in logged
    noted = read_logged(folder)
    assert noted is not None
    assert noted.artifact == f"{REFERENCE}:{alias}"
    runs = len(server.runs)
    code, said, _ = asr("report", "publish", folder)
    assert (code, "nothing to add" in said) == (0, True)
    assert len(server.runs) == runs
    assert list(server.versions(ARTIFACT, "qwen3-asr-hebrew")) == ["v0"]


def test_a_signature_is_a_new_version_that_the_gate_verifies(
    server: Loopback, folder: Path, keys: tuple[Path, Path]
) -> None:
    private, public = keys
    assert asr("report", "publish", folder)[0] == 0
    code, said, why = asr("gate", f"{REFERENCE}:latest", "--debug")
    assert code == 0, why
    code, _, said = asr("gate", f"{REFERENCE}:latest", "--verify-key", public)
    assert (code, "asr report publish" in said) == (30, True)
    assert asr("sign", folder, "--key", private)[0] == 0
    assert asr("report", "publish", folder)[0] == 0
    assert list(server.versions(ARTIFACT, "qwen3-asr-hebrew")) == ["v0", "v1"]
    code, said, _ = asr("gate", f"{REFERENCE}:latest", "--verify-key", public)
    assert (code, said.startswith(f"{REFERENCE}:latest: ")) == (0, True)
    assert "(signed)" in said
    # An older version can be had, and published again it is no new one.
    (folder / "alignment_report.intoto.jsonl").unlink()
    code, said, _ = asr("report", "publish", folder)
    assert (code, "no new version" in said) == (0, True)
    assert server.versions(ARTIFACT, "qwen3-asr-hebrew")["v0"] == ["latest", "proceed"]
    assert list(server.versions(ARTIFACT, "qwen3-asr-hebrew")) == ["v0", "v1"]


def test_offline_it_waits_for_sync_and_is_not_logged_twice(folder: Path) -> None:
    code, said, err = asr("report", "publish", folder, "wandb.mode=offline")
    assert (code, "wandb-offline:" in said) == (0, True), err
    (waiting,) = pending(Path())
    code, said, _ = asr("report", "publish", folder)
    assert code == 0
    assert f"asr sync {waiting}" in said
    assert pending(Path()) == [waiting]


@pytest.mark.parametrize("switch", ["WANDB_DISABLED", "--no-wandb"])
def test_what_is_switched_off_publishes_nothing(
    switch: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if switch.startswith("W"):
        monkeypatch.setenv(switch, "true")
    code, _, said = asr("report", "publish", folder, *([switch] if switch[0] == "-" else []))
    assert (code, "switched off" in said) == (2, True)


# A training whose report was never logged


@pytest.fixture
def authorised(wandb_environment: None, tmp_path: Path) -> Authorisation:
    manifest = write_corpus(tmp_path / "corpus", rows=3)
    return authorise_training(str(write_report(tmp_path / "report", manifest)), [manifest])


def record_of(authorised: Authorisation) -> RunRecord:
    return run_record().model_copy(update={"phase0": authorised.phase0()})


def begin(said: list[str], **given: str) -> Tracker:
    return Tracker(enabled=True, project="speech", say=said.append, **given).init(
        config={"phase0": {"artifact": "nothing"}}
    )


def test_a_training_logs_a_report_that_w_b_does_not_have(
    server: Loopback, authorised: Authorisation
) -> None:
    said: list[str] = []
    with begin(said) as tracker:
        record = use_report(tracker, record_of(authorised), authorised)
    artifact = record.phase0.artifact
    assert artifact == f"wandb:{ENTITY}/speech/{ARTIFACT}:proceed"
    assert server.config(tracker.run_id)["phase0"]["artifact"] == artifact
    (logged,) = server.artifacts
    assert server.runs[tracker.run_id]["used"] == [logged["id"]]
    assert json.loads(logged["metadata"])["digest"] == authorised.report.digest
    # The next training of it makes no second version.
    with begin(said) as again:
        use_report(again, run_record(), authorised)
    assert list(server.versions(ARTIFACT, "speech")) == ["v0"]
    assert server.runs[again.run_id]["used"] == [logged["id"]]
    assert [line for line in said if not line.startswith("W&B: on")] == []


def test_offline_it_is_there_once_the_training_is_sent(
    server: Loopback, authorised: Authorisation
) -> None:
    with begin([], mode="offline") as tracker:
        record = use_report(tracker, record_of(authorised), authorised)
    assert record.phase0.artifact.startswith("wandb-offline:")
    (sent,) = sync(pending(Path()))
    assert sent.problem == ""
    (logged,) = server.artifacts
    assert server.runs[tracker.run_id]["used"] == [logged["id"]]
    assert link(sent.run).linked != []


def test_a_link_that_leads_nowhere_is_mended_by_publish(
    server: Loopback, authorised: Authorisation
) -> None:
    """As trainings of earlier versions left them."""
    with begin([]) as tracker:
        phase0 = authorised.phase0()
        tracker.update_config({"phase0": phase0.model_dump(mode="json")})
    run = f"{ENTITY}/speech/{tracker.run_id}"
    told = link(run)
    assert (told.linked, "asr report publish" in told.problem) == ([], True)
    assert authorised.folder is not None
    assert asr("report", "publish", authorised.folder, "--wandb-project", "speech")[0] == 0
    code, _, said = asr("link", run)
    assert code == 0, said
    assert len(server.runs[tracker.run_id]["used"]) == 1


def test_an_audit_that_waits_on_this_disk_is_linked_when_both_are_sent(
    server: Loopback, authorised: Authorisation
) -> None:
    assert authorised.folder is not None
    offline = ("wandb.mode=offline", "--wandb-project", "speech")
    assert asr("report", "publish", authorised.folder, *offline)[0] == 0
    noted = read_logged(authorised.folder)
    assert noted is not None
    waits = replace(authorised, artifact=noted.artifact)
    with begin([], mode="offline") as tracker:
        record = use_report(tracker, run_record(), waits)
    assert record.phase0 == run_record().phase0
    assert tracker.run_path is not None
    assert [use["reference"] for use in read_sync_state(tracker.run_path).uses] == [noted.artifact]
    assert [one.problem for one in sync(pending(Path()))] == ["", ""]
    assert len(server.runs[tracker.run_id]["used"]) == 1


# A training that is refused


def refuse(manifest: Path, report: Path, **settings: str) -> None:
    given = TrackerSettings(enabled=True, project="speech", **settings)
    with (
        pytest.raises(Stopped),
        refusals_logged(given, "round2", str(report), [manifest], Path("runs")),
    ):
        authorise_training(str(report), [manifest])


def test_a_refused_training_is_logged(fresh_client: None, server: Loopback, tmp_path: Path) -> None:
    manifest = write_corpus(tmp_path / "corpus", rows=3)
    report = write_report(tmp_path / "report", manifest, "STOP")
    refuse(manifest, report)
    (run,) = server.runs.values()
    assert (run["jobType"], run["tags"], run["state"]) == ("train", ["refused"], "failed")
    phase0 = server.config(run["name"])["phase0"]
    assert (phase0["decision"], phase0["report"]) == ("STOP", str(report))
    assert "low quality" in phase0["reason"]
    (told,) = map(json.loads, Path("runs/refused.jsonl").read_text().splitlines())
    assert (told["decision"], told["exit_code"], told["run_id"]) == ("STOP", 20, run["name"])


def test_a_refusal_does_not_wait_for_a_server_and_leaves_nothing_where_w_b_is_off(
    server: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = write_corpus(tmp_path / "corpus", rows=3)
    report = write_report(tmp_path / "report", manifest, "STOP")
    refuse(manifest, report, mode="disabled")
    assert (list(server.runs), Path("runs").exists()) == ([], False)
    server.behave("401")
    refuse(manifest, report)
    (waiting,) = pending(Path())
    assert read_run(waiting).tags == ["refused"]
    assert len(Path("runs/refused.jsonl").read_text().splitlines()) == 1
    # Without the client the refusal stays what it is.
    monkeypatch.setitem(sys.modules, "wandb", None)
    refuse(manifest, report)


# Artifacts of others


def test_an_artifact_of_links_is_not_followed(server: Loopback) -> None:
    with begin([]) as tracker:
        address = "https://elsewhere.example/alignment_report.json"
        tracker.use_reference(address, "report", ARTIFACT)
    code, _, said = asr("gate", f"wandb:{ENTITY}/speech/{ARTIFACT}:latest")
    assert (code, "link to another place" in said) == (2, True), said


def test_an_artifact_that_is_too_large_is_not_downloaded(
    server: Loopback, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert asr("report", "publish", folder)[0] == 0
    monkeypatch.setattr("asr_gate.audit.gate.remote.RECORD_LIMIT", 1000)
    code, _, said = asr("gate", f"{REFERENCE}:latest")
    assert (code, "more than 1000" in said) == (2, True), said
    code, _, said = asr("gate", f"wandb:{PROJECT}/nosuch:latest")
    assert (code, "asr report publish" in said) == (30, True)
