"""What `asr runs` lists."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path

import pytest

from asr_gate.audit.engine.parts import Parts
from asr_gate.audit.gate import find_latest
from asr_gate.corpus.files import held
from asr_gate.history import history
from asr_gate.train.evaluation.result_file import (
    FiniteRates,
    Result,
    write_predictions,
    write_result,
)
from asr_gate.train.record import Evaluated, EvaluationRates, write_record
from tests.audit.report.reports import report_of
from tests.e2e.asr import asr_here, asr_without
from tests.train.support import run_record


def write_eval(path: Path) -> None:
    rates = FiniteRates(loss=1.0, wer=0.25, cer=0.1, utterances=9, words=9)
    result = Result(
        checkpoint="runs/a/final", manifests=["test.jsonl"], split=None, overall=rates, domains={},
        unfinished=0, not_evaluated=[], audio=1.0, wall=1.0, device="cpu", arithmetic="float32",
        batch_seconds=60, max_new_tokens=448, predictions=write_predictions(path, []),
        tool="0", created_at="2026-01-02T03:04:05+02:00",
    )  # fmt: skip
    write_result(path, result)


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    """Two audits, one of them unfinished, three trainings and two evaluations."""
    for name in ("reports/phase0", "reports/next", "runs/a", "runs/b", "runs/c", "runs/none"):
        (tmp_path / name).mkdir(parents=True)
    report = report_of(created_at="2026-01-02T00:00:00+00:00")
    (tmp_path / "reports/phase0/alignment_report.json").write_bytes(report.to_bytes())
    Parts(tmp_path / "reports/next").begin({"seed": 1}, resume=False)
    rates = EvaluationRates(loss=1.0, wer=0.5, cer=0.2, utterances=1, words=4, domains={})
    evaluated = Evaluated(steps=1, epoch=1, checkpoint="epoch-1", evaluation=rates)
    finished = run_record(
        "optimizer.accumulate=4", "phases.0.groups.0.learning_rate=0.5", "wandb.project=x",
        status="finished", evaluations=[evaluated],
    )  # fmt: skip
    phase0 = finished.phase0.model_copy(update={"dataset_fingerprint": report.dataset.fingerprint})
    write_record(tmp_path / "runs/a", finished.model_copy(update={"phase0": phase0}))
    write_record(tmp_path / "runs/b", run_record())
    (tmp_path / "runs/c/run.json").write_text("{}")
    write_eval(tmp_path / "evals/a/result.json")
    write_eval(tmp_path / "evals/b.json")
    return tmp_path


def test_everything_is_listed_with_its_status(disk: Path) -> None:
    found = {Path(one.name).relative_to(disk).as_posix(): one for one in history(disk)}
    assert {name: (one.kind, one.status) for name, one in found.items()} == {
        "reports/phase0": ("audit", "finished"),
        "reports/next": ("audit", "interrupted"),
        "runs/a": ("training", "finished"),
        "runs/b": ("training", "interrupted"),
        "runs/c": ("training", "unreadable"),
        "evals/a": ("evaluation", "finished"),
        "evals/b.json": ("evaluation", "finished"),
    }
    training = found["runs/a"]
    assert training.overrides == {
        "optimizer.accumulate": 4,
        "phases.0.groups.0.learning_rate": 0.5,
    }, "not where it is reported"
    assert (training.recipe, training.decision, training.wer) == ("round2-tiny", "PROCEED", 0.5)
    assert training.data == found["reports/phase0"].data == ["corpus/train.jsonl"]
    assert found["runs/b"].overrides == {}
    assert found["evals/a"].when == "2026-01-02T01:04:05+00:00"
    assert found["evals/a"].wer == 0.25
    with held(disk / "runs/b"), held(disk / "reports/next"):
        running = {one.name for one in history(disk) if one.status == "running"}
    assert running == {str(disk / "runs/b"), str(disk / "reports/next")}


def test_earlier_reports_and_refused_trainings_are_listed(disk: Path) -> None:
    kept = disk / "reports/phase0/history/20260101T000000Z"
    kept.mkdir(parents=True)
    earlier = report_of(created_at="2026-01-01T00:00:00+00:00", decision="STOP")
    (kept / "alignment_report.json").write_bytes(earlier.to_bytes())
    refusal = {
        "time": "2026-01-03T00:00:00+00:00", "recipe": "round2", "report": None, "data": ["a"],
        "decision": "STOP", "reason": "too bad", "exit_code": 20, "run_id": "abc",
    }  # fmt: skip
    (disk / "runs/refused.jsonl").write_text(json.dumps(refusal) + "\n{\n")
    found = {Path(one.name).relative_to(disk).as_posix(): one for one in history(disk)}
    assert found["reports/phase0/history/20260101T000000Z"].decision == "STOP"
    assert found["reports/phase0"].decision == "PROCEED"
    refused = found["runs/refused.jsonl:1"]
    assert (refused.status, refused.reason, refused.recipe) == ("refused", "too bad", "round2")
    assert found["runs/refused.jsonl:2"].status == "unreadable"
    assert find_latest(disk / "reports").parent.name == "phase0"


def test_the_newest_is_first(disk: Path) -> None:
    os.utime(disk / "runs/a/run.json", (4e9, 4e9))
    found = history(disk)
    assert found[0].name == str(disk / "runs/a")
    assert [one.when for one in found] == sorted((one.when for one in found), reverse=True)
    assert history(disk / "nowhere") == []


@pytest.mark.parametrize("width", [60, 80, 240])
def test_nothing_is_cut_on_the_terminal(
    width: int, disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    done = asr_here("runs", cwd=disk)
    assert done.returncode == 0, done.stderr
    for said in ("reports/next", "interrupted", "optimizer.accumulate=4", "25.00 %", "2026-01-02"):
        assert said in done.stdout
    assert "…" not in done.stdout


def test_they_are_listed_without_what_is_slow_to_load(disk: Path) -> None:
    done = asr_without({"torch", "pandas", "transformers"}, "runs", "--json", cwd=disk)
    assert done.returncode == 0, done.stderr
    assert len(json.loads(done.stdout)) == 7


def test_they_are_exported_as_csv(disk: Path) -> None:
    done = asr_here("runs", "--csv", cwd=disk)
    assert done.returncode == 0, done.stderr
    rows = {row["name"]: row for row in csv.DictReader(done.stdout.splitlines())}
    assert len(rows) == 7
    training = rows["runs/a"]
    assert (training["recipe"], training["wer"], training["reason"]) == ("round2-tiny", "0.5", "")
    assert json.loads(training["overrides"])["optimizer.accumulate"] == 4
    assert json.loads(training["data"]) == ["corpus/train.jsonl"]
    assert asr_here("runs", "--csv", "--json", cwd=disk).returncode == 2
