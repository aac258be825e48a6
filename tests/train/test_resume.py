"""A run that was stopped or killed ends as one that was not, to the bit."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

from asr_gate.corpus.errors import UserError
from asr_gate.train import run
from tests.train.support import write_report
from tests.train.trainings import (
    THREE_EPOCHS,
    TWO_EPOCHS,
    Killed,
    content,
    equal_weights,
    killed_at,
    losses,
    terminated_at,
    train,
)

SHORT = (
    *THREE_EPOCHS,
    "data.batch_seconds=6",
    "checkpoints.state_every_steps=1",
    "evaluation.every_steps=4",
)


@pytest.fixture(scope="module")
def whole(
    manifest: Path, report: Path, tmp_path_factory: pytest.TempPathFactory
) -> run.TrainResult:
    return train(manifest, report, *SHORT, out=tmp_path_factory.mktemp("whole") / "r")


def same(one: run.TrainResult, other: run.TrainResult) -> None:
    assert losses(one) == losses(other)
    assert equal_weights(one, other)
    for key in ("evaluations", "epochs"):
        found = [
            [{k: v for k, v in row.items() if k != "seconds"} for row in content(result)[key]]
            for result in (one, other)
        ]
        assert found[0] == found[1]


@pytest.mark.parametrize(
    ("function", "count"),
    [
        ("backward", 2),  # in the first epoch
        ("write_checkpoint", 1),  # at the end of an epoch, before its checkpoint
        ("mark_best", 2),  # and after it
        ("evaluate", 2),  # in an evaluation
        ("build_optimizer", 2),  # exactly at the switch of the phases
    ],
)
def test_killed_anywhere_it_ends_the_same(
    function: str,
    count: int,
    whole: run.TrainResult,
    manifest: Path,
    report: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with monkeypatch.context() as patch:
        killed_at(patch, function, count)
        with pytest.raises(Killed):
            train(manifest, report, *SHORT)
    assert json.loads(Path("runs/round2-tiny/run.json").read_text())["status"] == "running"
    resumed = train(manifest, report, *SHORT, resume=True)
    assert resumed.out == Path("runs/round2-tiny")
    same(resumed, whole)
    assert not (resumed.out / "resume").exists()


def test_a_finished_run_is_left_as_it_is(
    whole: run.TrainResult, manifest: Path, report: Path
) -> None:
    assert whole.out is not None
    before = content(whole)
    again = train(manifest, report, *SHORT, out=whole.out, resume=True)
    assert (again.out, again.epochs) == (whole.out, [])
    assert content(again) == before


def test_sigterm_saves_and_another_way_to_compute_may_go_on(
    whole: run.TrainResult, manifest: Path, report: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = signal.getsignal(signal.SIGTERM)
    with monkeypatch.context() as patch:
        terminated_at(patch, 3)
        stopped = train(manifest, report, *SHORT)
    assert (stopped.stopped, stopped.final) == (4, None)
    assert signal.getsignal(signal.SIGTERM) is before
    told = content(stopped)
    assert (told["status"], told["reason"]) == ("stopped", "by SIGTERM after step 4")
    changed = (
        "phases.0.gradient_checkpointing=true",
        "checkpoints.state_every_steps=100",
        "data.audio_cache_gib=0.5",
        "device=cpu",
    )
    same(train(manifest, report, *SHORT, *changed, resume=True), whole)
    log = Path("runs/round2-tiny/log.jsonl").read_text()
    assert "resumed with phases.0.gradient_checkpointing=True (was False), " in log
    again = content(stopped)["config"]
    assert again["checkpoints"]["state_every_steps"] == 100
    assert again["phases"][0]["gradient_checkpointing"]


def test_only_the_same_run_is_resumed(
    two_epochs: run.TrainResult, manifest: Path, report: Path, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match="no run to resume"):
        train(manifest, report, *SHORT, resume=True)
    assert two_epochs.out is not None
    with pytest.raises(UserError, match=r"another phases\.0\.epochs"):
        train(manifest, report, out=two_epochs.out, resume=True)
    other = write_report(tmp_path / "other", manifest, excluded=["u003"])
    with pytest.raises(UserError, match=r"another phase0\.digest"):
        train(manifest, other, *TWO_EPOCHS, out=two_epochs.out, resume=True)
    for text in ("{}", "[]", '{"schema_version": 1}', "half"):
        (tmp_path / "runs" / "round2-tiny").mkdir(parents=True, exist_ok=True)
        (tmp_path / "runs" / "round2-tiny" / "run.json").write_text(text)
        with pytest.raises(UserError, match=r"run\.json: ") as error:
            train(manifest, report, resume=True)
        assert error.value.exit_code == 2
