"""What audit, train and eval log by the command line, read back as W&B would sync it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet
import pytest
import soundfile

from asr_gate.tracking.sync_state import read_sync_state
from tests.board import numbers, open_board, scalars, texts
from tests.e2e.asr import asr_here, asr_without, report_in
from tests.e2e.conftest import TRAINING, Tracked
from tests.speech import ROOT
from tests.tracking.isolation import FAKE_KEY
from tests.tracking.offline import OfflineRun, read_run


@pytest.mark.usefixtures("client")
def test_without_a_login_the_run_is_offline_and_whole(small: Path, tmp_path: Path) -> None:
    done = asr_here("audit", small, "--wandb", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("asr sync wandb/offline-run-") == 1
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
        assert statistics["cannot_tell"] is None
        for key, value in statistics.items():
            if key == "cannot_tell":
                continue
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
    assert link["artifact"] == f"wandb-offline:{run.run_id}/phase0-audit-report:proceed"
    assert link["content"] == artifact.digest
    staged = artifact.files["alignment_report.json"]
    assert staged is not None
    assert json.loads(staged.read_text()) == report
    assert set(artifact.files) == {
        "alignment_report.json",
        "rows.jsonl",
        "gaps.parquet",
        "heard.parquet",
        "report.md",
        "utterances.parquet",
        "words.parquet",
    }


@pytest.mark.usefixtures("client")
def test_a_server_that_refuses_costs_nothing_but_the_upload(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_API_KEY", FAKE_KEY)
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    done = asr_here("audit", small, "--wandb", "--controls", 0, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "CAUTION" in done.stdout
    assert "asr sync wandb/offline-run-" in done.stderr
    assert "Traceback" not in done.stderr
    assert list((tmp_path / "wandb").glob("offline-run-*"))


def test_no_run_where_none_is_wanted(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_DIR", str(tmp_path))
    done = asr_here("audit", small, "--controls", 0, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    monkeypatch.setenv("WANDB_PHASE0_LOGGING", "true")
    done = asr_here("audit", small, "--controls", 0, "--no-wandb", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "wandb").exists()


def test_a_wrong_mode_is_named_before_anything_is_decoded(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_MODE", "sometimes")
    done = asr_here("audit", small, "--wandb", cwd=tmp_path)
    assert done.returncode == 2
    assert "WANDB_MODE" in done.stderr
    assert not (tmp_path / "reports").exists()


# Audit, train and eval: what each run is, and what each holds


@pytest.mark.parametrize("command", ["audit", "train", "eval"])
def test_flags_and_keys_beat_the_environment(tracked: Tracked, command: str) -> None:
    run: OfflineRun = getattr(tracked, command)
    assert (run.project, run.name, run.group) == ("of-the-flag", "of-the-flag", "of-the-key")
    assert run.notes == "of-the-environment"
    own = {"qwen3-asr", "tiny", "gradual-unfreezing", "1xCPU"} if command == "train" else set()
    assert set(run.tags) == {"one", "two"} | own
    assert (
        run.job_type == {"audit": "data_quality", "train": "train", "eval": "evaluation"}[command]
    )


def test_an_audit_imports_no_torch_even_where_it_is_installed(tracked: Tracked) -> None:
    lines = (tracked.folder / "imports.txt").read_text().splitlines()
    imported = {line.rpartition("|")[2].strip() for line in lines if "import time:" in line}
    assert {"onnxruntime", "numba", "wandb", "tensorboardX"} <= imported
    assert not imported & {"torch.nn", "transformers", "matplotlib", "lhotse"}


def test_the_worst_utterances_have_their_audio(tracked: Tracked) -> None:
    # The table as W&B shows it, with its recordings; a run's own copy of it has texts alone.
    (table,) = [a for a in tracked.audit.artifacts if "worst_utterances" in a.name]
    content = table.files["phase0/worst_utterances.table.json"]
    assert content is not None
    shown = json.loads(content.read_text())
    columns, rows = shown["columns"], shown["data"]
    assert columns == ["id", "domain", "text", "quality", "coverage", "rules", "audio"]
    utterances = pyarrow.parquet.read_table(
        tracked.folder / "reports" / "phase0" / "utterances.parquet"
    ).to_pylist()
    worst = sorted(utterances, key=lambda row: (row["quality"], row["id"]))
    assert [row[0] for row in rows] == [row["id"] for row in worst[:20]]
    by_id = {row["id"]: row for row in utterances}
    for row in rows:
        shown_row = dict(zip(columns, row, strict=True))
        assert shown_row["quality"] == pytest.approx(by_id[shown_row["id"]]["quality"], abs=1e-4)
        clip = table.files[shown_row["audio"]["path"]]
        assert clip is not None
        samples, rate = soundfile.read(clip)
        assert rate == 16000
        assert len(samples) / rate == pytest.approx(by_id[shown_row["id"]]["duration"], abs=0.01)
        assert abs(samples).max() > 0.01


def test_an_audits_coverage_is_a_histogram_and_a_chart(tracked: Tracked) -> None:
    metrics = tracked.audit.metrics
    columns, rows = tracked.audit.table("phase0/coverage_table")
    assert columns == ["label", "share"]
    assert [label for label, _ in rows] == [f"{n / 10:.1f}-{(n + 1) / 10:.1f}" for n in range(10)]
    assert [share for _, share in rows] == metrics["phase0/coverage_histogram"]["values"]
    events = open_board(tracked.folder / "reports" / "phase0" / "tensorboard")
    assert events.Tags()["histograms"] == ["phase0/coverage_histogram"]
    assert len(events.Tags()["audio"]) == tracked.rows


@pytest.mark.parametrize("command", ["audit", "train", "eval"])
def test_tensorboard_has_the_scalars_of_the_run(tracked: Tracked, command: str) -> None:
    run: OfflineRun = getattr(tracked, command)
    place = {
        "audit": "reports/phase0/tensorboard",
        "train": "runs/round2-tiny/tensorboard",
        "eval": "evals/one/result.tensorboard",
    }[command]
    ours, theirs = scalars(tracked.folder / place), numbers(run.history)
    assert ours.keys() == theirs.keys()
    assert "eval/wer" in ours or "phase0/total_samples" in ours
    for name, events in theirs.items():
        # What is logged twice at a step, such as train/step, is one value in W&B.
        values = dict(ours[name]).values()
        assert list(values) == pytest.approx([value for _, value in events]), name


def test_an_evaluation_holds_its_rates_transcripts_and_files(tracked: Tracked) -> None:
    result = json.loads((tracked.folder / "evals" / "one" / "result.json").read_text())
    metrics = tracked.eval.metrics
    for rate in ("loss", "wer", "cer"):
        assert metrics[f"eval/{rate}"] == result["overall"][rate]
    for domain, rates in result["domains"].items():
        assert metrics[f"eval/{domain}/wer"] == rates["wer"]
        assert metrics[f"eval/{domain}/cer"] == rates["cer"]
    columns, rows = tracked.eval.table("eval/predictions")
    assert columns == ["id", "domain", "reference", "hypothesis", "difference"]
    assert len(rows) == tracked.rows
    artifact = tracked.eval.artifact("eval-result")
    assert set(artifact.files) == {"result.json", "result.predictions.jsonl"}
    assert artifact.metadata["wer"] == result["overall"]["wer"]
    assert tracked.eval.config["checkpoint"] == "runs/round2-tiny/final"
    used = [use["reference"] for use in read_sync_state(tracked.eval.folder).uses]
    assert used == [f"wandb-offline:{tracked.train.run_id}/round2-tiny-model:final"]


def test_a_training_holds_what_came_into_it_and_what_it_watched(tracked: Tracked) -> None:
    used = [use["reference"] for use in read_sync_state(tracked.train.folder).uses]
    assert used == [f"wandb-offline:{tracked.audit.run_id}/phase0-audit-report:proceed"]
    report = report_in(tracked.folder / "reports" / "phase0")
    found = tracked.train.config["phase0"]
    assert found["coverage"] == report["coverage_distribution"]
    assert found["domains"] == report["domain_statistics"]
    watched = {name.partition("/")[0] for name in tracked.train.metrics if ".weight" in name}
    assert watched == {"gradients", "parameters"}


# Switched off


@pytest.mark.usefixtures("client")
def test_a_disabled_audit_has_the_scalars_and_no_trace_of_wandb(
    small_stop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second audit's files of TensorBoard are in place of the first one's."""
    command = ("audit", small_stop, "--all")
    with monkeypatch.context() as patch:
        patch.setenv("WANDB_PHASE0_LOGGING", "true")
        patch.setenv("WANDB_MODE", "offline")
        first = asr_here(*command, cwd=tmp_path)
    assert first.returncode == 20, first.stderr
    (folder,) = (tmp_path / "wandb").glob("offline-run-*")
    run = read_run(folder)
    (alert,) = run.alerts
    assert (alert.title, alert.level) == ("phase0: STOP", "ERROR")
    assert alert.text == "; ".join(report_in(tmp_path / "reports" / "phase0")["reasons"])
    tensorboard = tmp_path / "reports" / "phase0" / "tensorboard"
    before, files = scalars(tensorboard), list(tensorboard.iterdir())
    shutil.rmtree(tmp_path / "wandb")
    everywhere = {path for path in tmp_path.rglob("*") if "wandb" in path.name}

    monkeypatch.setenv("WANDB_DISABLED", "true")
    again = asr_without({"wandb"}, *command, "--wandb", cwd=tmp_path)
    assert again.returncode == 20, again.stderr
    assert "W&B: off (WANDB_DISABLED is set)" in again.stderr
    assert scalars(tensorboard) == before
    assert not set(files) & set(tensorboard.iterdir())
    assert texts(tensorboard, "alerts")[0].startswith("**phase0: STOP** (ERROR)")
    # The first audit is kept, with its own note of where it was logged.
    (kept,) = (tmp_path / "reports" / "phase0" / "history").iterdir()
    assert report_in(kept)["decision"] == "STOP"
    everywhere.add(kept / "wandb.json")
    assert {path for path in tmp_path.rglob("*") if "wandb" in path.name} <= everywhere
    assert numbers(run.history).keys() == before.keys()


def test_a_disabled_training_has_the_scalars_and_no_trace_of_wandb(
    tracked: Tracked, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(tracked.folder / "reports", tmp_path / "reports")
    shutil.copy(tracked.folder / "small.jsonl", tmp_path)
    shutil.copytree(tracked.folder / "audio", tmp_path / "audio")
    (tmp_path / "reports" / "phase0" / "wandb.json").unlink()
    monkeypatch.setenv("WANDB_DISABLED", "true")
    monkeypatch.setitem(sys.modules, "wandb", None)
    done = asr_here(*TRAINING, "--wandb", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "W&B: off (WANDB_DISABLED is set)" in done.stdout
    assert not [path for path in tmp_path.rglob("*") if "wandb" in path.name]
    ours, theirs = (
        scalars(tmp_path / "runs/round2-tiny/tensorboard"),
        numbers(tracked.train.history),
    )
    assert ours.keys() == theirs.keys()
    for name, events in theirs.items():
        assert list(dict(ours[name])) == [step for step, _ in events], name
        if name.startswith(("train/loss", "train/grad", "train/learning", "eval/", "training/")):
            values = dict(ours[name]).values()
            assert list(values) == pytest.approx([value for _, value in events]), name


# What is in force


def test_every_value_is_shown_with_its_origin_and_no_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = (
        "config", "show", "round2-tiny", "wandb.group=g", "seed=5", "--wandb-tags", "a,b", "--json"
    )  # fmt: skip
    secret = "s" * 40
    for name, value in (("PROJECT", "p"), ("LOG_INTERVAL", "7"), ("API_KEY", secret)):
        monkeypatch.setenv(f"WANDB_{name}", value)
    shown = asr_here(*command, cwd=tmp_path)
    assert shown.returncode == 0, shown.stderr
    assert secret not in shown.stdout + shown.stderr
    values = {key: (one["value"], one["from"]) for key, one in json.loads(shown.stdout).items()}
    assert values["wandb.group"] == ("g", "command line")
    assert values["wandb.tags"] == (["a", "b"], "command line")
    assert values["wandb.project"] == ("p", "WANDB_PROJECT")
    assert values["wandb.log_interval"] == (7, "WANDB_LOG_INTERVAL")
    assert values["wandb.log_model"] == ("best", "recipe round2-tiny")
    assert values["wandb.keep"] == (3, "default")
    assert values["wandb.alerts.loss_spike"] == (3.0, "default")
    assert values["wandb.api_key"] == ("[hidden]", "WANDB_API_KEY")
    assert values["seed"] == (5, "command line")


def test_the_code_and_the_machine_are_kept_only_where_that_is_asked_for(tmp_path: Path) -> None:
    """The main script and its uncommitted change; the client's own samples of the machine."""
    script = tmp_path / "mine.py"
    script.write_text(
        "import time\n"
        "from asr_gate.tracking import Tracker\n"
        "for kept in (False, True):\n"
        "    options = dict(save_code=kept, system_metrics=kept, run_name=str(kept))\n"
        "    with Tracker(enabled=True, mode='offline', **options) as tracker:\n"
        "        tracker.init()\n"
        "        time.sleep(3 * kept)\n"  # the first sample takes a moment
    )
    for command in (
        ["init", "-q"], ["add", "mine.py"],
        ["-c", "user.name=a", "-c", "user.email=a@b.c", "commit", "-qm", "one"],
    ):  # fmt: skip
        subprocess.run(["git", *command], cwd=tmp_path, check=True)
    script.write_text(script.read_text() + "# changed\n")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "WANDB_DIR": str(tmp_path)}
    subprocess.run([sys.executable, script], cwd=tmp_path, env=environment, check=True, timeout=60)
    folders = list(tmp_path.glob("wandb/offline-run-*"))
    assert len(folders) == 2
    for folder in folders:
        kept = read_run(folder).name == "True"
        assert (folder / "files" / "code" / "mine.py").is_file() is kept
        assert (folder / "files" / "diff.patch").is_file() is kept
        (path,) = folder.glob("*.wandb")
        assert (b"proc.memory" in path.read_bytes()) is kept
