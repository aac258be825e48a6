"""`asr audit --wandb`: the offline run, read back as W&B would sync it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.e2e.asr import asr, report_in
from tests.tracking.offline import read_run

pytestmark = pytest.mark.slow


def test_without_a_login_the_run_is_offline_and_whole(small: Path, tmp_path: Path) -> None:
    done = asr("audit", small, "--wandb", cwd=tmp_path, WANDB_DIR=str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("wandb sync") == 1
    report = report_in(tmp_path / "reports" / "phase0")
    (folder,) = (tmp_path / "wandb").glob("offline-run-*")
    run = read_run(folder)
    assert (run.name, run.job_type, run.project) == (
        "phase0-audit",
        "data_quality",
        "qwen3-asr-hebrew",
    )
    logged = {key: value for row in run.history for key, value in row.items()}
    for key in ("total_samples", "low_quality_percentage", "decision"):
        assert logged[f"phase0/{key}"] == report[key]
    for key, name in (("p10", "p10"), ("p50", "median"), ("p90", "p90"), ("mean", "mean")):
        assert logged[f"phase0/coverage_{name}"] == report["coverage_distribution"][key]
    for domain, statistics in report["domain_statistics"].items():
        for key, value in statistics.items():
            figure = value["rate"] if key == "low_quality_hours" else value
            assert logged[f"phase0/{domain}/{key}"] == figure
    histogram = logged["phase0/coverage_histogram"]
    assert sum(histogram["values"]) == pytest.approx(1)
    assert logged["phase0/domains"]["_type"] == "table-file"
    assert run.config["policy"] == report["policy"]
    assert run.config["aligner"]["name"] == "embedded"
    (artifact,) = [a for a in run.artifacts if a.type == "report"]
    assert artifact.name == "phase0-audit-report"
    assert "proceed" in artifact.aliases
    assert artifact.metadata == {
        "decision": "PROCEED",
        "digest": report["digest"],
        "dataset_fingerprint": report["dataset"]["fingerprint"],
    }
    link = json.loads((tmp_path / "reports" / "phase0" / "wandb.json").read_text())
    assert link == {"artifact": f"wandb-offline:{run.run_id}/phase0-audit-report:proceed"}
    staged = artifact.files["alignment_report.json"]
    assert staged is not None
    assert json.loads(staged.read_text()) == report
    assert set(artifact.files) == {
        "alignment_report.json",
        "rows.jsonl",
        "gaps.parquet",
        "report.md",
        "utterances.parquet",
        "words.parquet",
    }


def test_a_server_that_refuses_costs_nothing_but_the_upload(small: Path, tmp_path: Path) -> None:
    done = asr(
        "audit",
        small,
        "--wandb",
        cwd=tmp_path,
        WANDB_DIR=str(tmp_path),
        WANDB_API_KEY="k" * 40,
        WANDB_BASE_URL="http://127.0.0.1:9",
    )
    assert done.returncode == 0, done.stderr
    assert "PROCEED" in done.stdout
    assert "wandb sync" in done.stderr
    assert "Traceback" not in done.stderr
    assert list((tmp_path / "wandb").glob("offline-run-*"))


def test_no_run_where_none_is_wanted(small: Path, tmp_path: Path) -> None:
    for options, environment in (
        (["--no-wandb"], {"WANDB_PHASE0_LOGGING": "true"}),
        (["--wandb"], {"WANDB_DISABLED": "true"}),
        ([], {}),
    ):
        done = asr("audit", small, *options, cwd=tmp_path, WANDB_DIR=str(tmp_path), **environment)
        assert done.returncode == 0, done.stderr
        assert not (tmp_path / "wandb").exists()


def test_the_environment_asks_for_a_run(small: Path, tmp_path: Path) -> None:
    done = asr("audit", small, cwd=tmp_path, WANDB_DIR=str(tmp_path), WANDB_PHASE0_LOGGING="true")
    assert done.returncode == 0, done.stderr
    assert list((tmp_path / "wandb").glob("offline-run-*"))


def test_a_wrong_mode_is_named_before_anything_is_heard(small: Path, tmp_path: Path) -> None:
    done = asr("audit", small, "--wandb", cwd=tmp_path, WANDB_MODE="sometimes")
    assert done.returncode == 2
    assert "WANDB_MODE" in done.stderr
    assert not (tmp_path / "reports").exists()
