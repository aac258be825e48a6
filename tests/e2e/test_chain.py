"""The whole chain with the real client, read back by `wandb.Api()` from a server on loopback.

Audit, artifact, training that uses it, lineage; then the same offline, sent and linked later. What
such a server shows and what not is said in `tests.tracking.loopback`.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.asr import asr_here, report_in
from tests.e2e.conftest import Tracked, write_small
from tests.tracking.isolation import (
    FAKE_KEY,
    forget_service,
    inherited_wandb_variables,
    isolated_wandb_environment,
)
from tests.tracking.loopback import ENTITY, Loopback

PROJECT = f"{ENTITY}/qwen3-asr-hebrew"
SHORT = (
    "wandb.log_interval=1",
    "wandb.detailed_interval=5",
    "evaluation.max_new_tokens=8",
    "data.batch_seconds=30",
    "data.evaluation_share=0.2",
    "model.tiny.vocabulary=300",
    "phases.0.epochs=[1]",
    "phases.1.epochs=[2]",
)


@dataclass(frozen=True)
class Chain:
    """A folder in which an audit and a training ran, and the server that they logged to."""

    folder: Path
    server: Loopback
    environment: dict[str, str]

    def asr(self, *arguments: object, **more: str) -> tuple[str, str]:
        """Run it to its end, which is good; what it said on both outputs."""
        with pytest.MonkeyPatch.context() as patch:
            for name, value in (self.environment | more).items():
                patch.setenv(name, value)
            done = asr_here(*arguments, cwd=self.folder)
        assert done.returncode == 0, done.stderr
        assert "Traceback" not in done.stderr
        return done.stdout, done.stderr

    def run_json(self, name: str) -> dict[str, Any]:
        return json.loads((self.folder / "runs" / name / "run.json").read_text())


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chain]:
    folder = tmp_path_factory.mktemp("chain")
    (folder / "home").mkdir()
    write_small(folder / "small.jsonl", shift=0)
    with Loopback() as server:
        environment = isolated_wandb_environment(folder) | {
            "WANDB_API_KEY": FAKE_KEY,
            "WANDB_BASE_URL": server.url,
        }
        yield Chain(folder, server, environment)
        assert server.unknown == []


@pytest.fixture
def api(place: Chain, monkeypatch: pytest.MonkeyPatch, _isolated: None) -> Iterator[Any]:
    """What a person's own script reads the runs back with."""
    import wandb

    for name in inherited_wandb_variables():
        monkeypatch.delenv(name)
    for name, value in place.environment.items():
        monkeypatch.setenv(name, value)
    wandb.teardown()
    yield wandb.Api()
    wandb.teardown()


@pytest.fixture(scope="module")
def online(place: Chain) -> Chain:
    """An audit and a training from its artifact, both online."""
    forget_service()
    place.asr("audit", "small.jsonl", "--all", "--wandb")
    told, said = place.asr(  # the login is enough: no --wandb
        "train", "round2-tiny", *SHORT, "--data", "small.jsonl",
        "--wandb-run-name", "first", "--wandb-tags", "mine",
        "--report", f"wandb:{PROJECT}/phase0-audit-report:latest",
    )  # fmt: skip
    assert f"W&B: on (as asked): {place.server.url}/{PROJECT}/runs/" in told
    assert "W&B" not in said  # nothing was left undone
    forget_service()
    return place


def test_the_config_names_the_audit(online: Chain, api: Any) -> None:
    run = api.run(f"{PROJECT}/{online.run_json('round2-tiny')['tracking']['run_id']}")
    report = report_in(online.folder / "reports" / "phase0")
    assert (run.name, run.job_type, run.state) == ("first", "train", "finished")
    assert set(run.tags) == {"mine", "qwen3-asr", "tiny", "gradual-unfreezing", "1xCPU"}
    phase0 = run.config["phase0"]
    assert (phase0["decision"], phase0["digest"]) == ("PROCEED", report["digest"])
    assert phase0["dataset_fingerprint"] == report["dataset"]["fingerprint"]
    assert phase0["low_quality_percentage"] == report["low_quality_percentage"]
    assert phase0["mean_coverage"] == report["coverage_distribution"]["mean"]
    assert phase0["artifact"] == f"wandb:{PROJECT}/phase0-audit-report:latest"
    assert run.config["architecture"]["text"]["num_hidden_layers"] == 4
    assert run.config["hardware"]["cpus"] == os.cpu_count()
    assert [phase["name"] for phase in run.config["plan"]["phases"]] == ["B", "A"]


def test_the_report_is_an_input_and_its_audit_the_producer(online: Chain, api: Any) -> None:
    told = online.run_json("round2-tiny")
    run = api.run(f"{PROJECT}/{told['tracking']['run_id']}")
    (used,) = run.used_artifacts()
    assert used.name.startswith("phase0-audit-report:")
    assert {"latest", "proceed"} <= set(used.aliases)
    assert used.metadata["digest"] == told["phase0"]["digest"]
    producer = used.logged_by()
    assert producer is not None
    assert (producer.name, producer.job_type) == ("phase0-audit", "data_quality")
    assert [user.id for user in used.used_by()] == [run.id]


def test_best_and_final_models_are_artifacts(online: Chain, api: Any) -> None:
    told = online.run_json("round2-tiny")
    run = api.run(f"{PROJECT}/{told['tracking']['run_id']}")
    logged = {alias: item for item in run.logged_artifacts() for alias in item.aliases}
    best, final = logged["best"], logged["final"]
    wers = [one["evaluation"]["wer"] for one in told["epochs"]]
    assert best.type == final.type == "model"
    assert best.metadata["wer"] == min(wers)
    assert final.metadata["step"] == told["plan"]["steps"]
    assert best.metadata["report_digest"] == told["phase0"]["digest"]
    assert "latest" in final.aliases
    assert any(item.type == "config" for item in run.logged_artifacts())
    models = [item for item in run.logged_artifacts() if item.type == "model"]
    kept = [m for m in models if not {"best", "final"} & set(m.aliases)]
    assert len(kept) <= told["config"]["wandb"]["keep"]


def test_the_switch_and_the_epochs_are_at_their_steps(online: Chain, api: Any) -> None:
    told = online.run_json("round2-tiny")
    run = api.run(f"{PROJECT}/{told['tracking']['run_id']}")
    rows = list(run.scan_history())
    (switch,) = [row for row in rows if row.get("training/strategy_switch") == 1]
    assert switch["_step"] == told["epochs"][0]["steps"] + 1
    assert (switch["training/strategy"], switch["train/epoch"]) == ("A", 2)
    assert switch["training/audio_layers_unfrozen"] == 1
    by_epoch = {row["epoch"]: row["epoch/wer"] for row in rows if "epoch/wer" in row}
    assert by_epoch == {e["epoch"]: e["evaluation"]["wer"] for e in told["epochs"]}
    assert run.summary["best_wer"] == min(by_epoch.values())


def test_complete_is_told(online: Chain) -> None:
    titles = [alert["title"] for alert in online.server.alerts]
    assert "round2-tiny: training complete" in titles


def test_offline_runs_are_sent_and_linked_later(place: Chain, tracked: Tracked, api: Any) -> None:
    folder = place.folder / "offline"
    for name in ("wandb", "runs", "reports"):
        shutil.copytree(tracked.folder / name, folder / name, symlinks=True)
    there = replace(place, folder=folder)
    told = there.run_json("round2-tiny")
    run_id = told["tracking"]["run_id"]
    assert run_id not in place.server.runs
    sent = json.loads(there.asr("sync", "--json", WANDB_DIR=str(folder))[0])
    assert [(one["sent"], one["problem"]) for one in sent] == [(True, "")] * 3
    assert [len(one["linked"]) for one in sent] == [0, 1, 1]
    run = api.run(f"{ENTITY}/{tracked.train.project}/{run_id}")
    (used,) = run.used_artifacts()
    assert used.metadata["digest"] == told["phase0"]["digest"]
    producer = used.logged_by()
    assert producer is not None
    assert producer.job_type == "data_quality"
    aliases = {alias for item in run.logged_artifacts() for alias in item.aliases}
    assert {"best", "final"} <= aliases

    asked = len(place.server.operations)
    assert "Nothing waits" in there.asr("sync", WANDB_DIR=str(folder))[0]
    assert len(place.server.operations) == asked
    assert "linked to" in there.asr("link", "runs/round2-tiny")[0]
    assert len(api.run(f"{ENTITY}/{tracked.train.project}/{run_id}").used_artifacts()) == 1
