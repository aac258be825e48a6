"""A run that was stopped or killed ends as one that was not, to the bit."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from asr_gate.corpus.errors import UserError
from asr_gate.train import loop, resume, run
from tests.train.support import write_report
from tests.train.test_run import SMALL, _own_folder, content, losses, train, weights

__all__ = ["_own_folder"]

SHORT = (
    "phases.0.epochs=[1,2]",
    "phases.1.epochs=[3]",
    "data.batch_seconds=3",
    "checkpoints.state_every_steps=1",
    "evaluation.every_steps=5",
)


class Killed(BaseException):
    """Nothing in the project may handle this: it is kill -9."""


def killed_at(monkeypatch: pytest.MonkeyPatch, place: str, count: int) -> None:
    """Be killed the n-th time that something is begun."""
    calls = 0
    real = getattr(loop, place, None) or getattr(resume, place)
    target = loop if hasattr(loop, place) else resume

    def dying(*arguments, **named):
        nonlocal calls
        calls += 1
        if calls == count:
            raise Killed
        return real(*arguments, **named)

    monkeypatch.setattr(target, place, dying)


@pytest.fixture(scope="module")
def whole(
    manifest: Path, report: Path, tmp_path_factory: pytest.TempPathFactory
) -> run.TrainResult:
    return train(manifest, report, *SHORT, out=tmp_path_factory.mktemp("whole") / "r")


def same(one: run.TrainResult, other: run.TrainResult) -> None:
    assert losses(one) == losses(other)
    first, second = weights(one, "final"), weights(other, "final")
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)
    for key in ("evaluations", "epochs"):
        told = [
            [{k: v for k, v in row.items() if k != "seconds"} for row in content(result)[key]]
            for result in (one, other)
        ]
        assert told[0] == told[1]


@pytest.mark.parametrize(
    ("place", "count"),
    [
        ("clip_grad_norm_", 2),  # in the first epoch
        ("write_checkpoint", 1),  # at the end of an epoch, before its checkpoint
        ("mark_best", 2),  # and after
        ("evaluate", 2),  # in an evaluation
        ("build_optimizer", 2),  # exactly at the switch
        ("restore_moments", 1),  # never reached by a run that was not resumed
    ],
)
def test_killed_anywhere_it_ends_the_same(
    place: str,
    count: int,
    whole: run.TrainResult,
    manifest: Path,
    report: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with monkeypatch.context() as patch:
        if place == "clip_grad_norm_":
            steps = 0
            real = torch.nn.utils.clip_grad_norm_

            def dying(*arguments, **named):
                nonlocal steps
                steps += 1
                if steps == count:
                    raise Killed
                return real(*arguments, **named)

            patch.setattr(torch.nn.utils, "clip_grad_norm_", dying)
        else:
            killed_at(patch, place, count)
        if place == "restore_moments":
            train(manifest, report, *SHORT)
        else:
            with pytest.raises(Killed):
                train(manifest, report, *SHORT)
    before = json.loads(Path("runs/round2-tiny/run.json").read_text())["status"]
    assert before == ("finished" if place == "restore_moments" else "running")
    resumed = train(manifest, report, *SHORT, resume=True)
    assert resumed.out == Path("runs/round2-tiny")
    same(resumed, whole)
    assert not (resumed.out / "resume").exists()


def test_sigterm_saves_and_ends_well(
    whole: run.TrainResult, manifest: Path, report: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = signal.getsignal(signal.SIGTERM)
    real = loop.schedule

    def terminated_in_the_fourth(step: int, *rest) -> float:
        if step == 3:
            os.kill(os.getpid(), signal.SIGTERM)
        return real(step, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(loop, "schedule", terminated_in_the_fourth)
        stopped = train(manifest, report, *SHORT)
    assert (stopped.stopped, stopped.final) == (4, None)
    assert signal.getsignal(signal.SIGTERM) is before
    told = content(stopped)
    assert (told["status"], told["reason"]) == ("stopped", "by SIGTERM after step 4")
    same(train(manifest, report, *SHORT, resume=True), whole)


def test_only_the_same_run_goes_on(manifest: Path, report: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no run to go on with"):
        train(manifest, report, *SHORT, resume=True)
    done = train(manifest, report, "phases.0.epochs=[1]", "phases.1.epochs=[2]")
    with pytest.raises(UserError, match="begun with another phases"):
        train(manifest, report, resume=True)
    other = write_report(tmp_path / "other", manifest, condemned=["u003"])
    with pytest.raises(UserError, match=r"begun with another phase0\.digest"):
        train(manifest, other, "phases.0.epochs=[1]", "phases.1.epochs=[2]", resume=True)
    (done.out / "run.json").write_text("{}")
    with pytest.raises(UserError, match="cannot be read"):
        train(manifest, report, resume=True)


def test_a_damaged_state_is_one_line(
    manifest: Path, report: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        killed_at(patch, "evaluate", 1)
        with pytest.raises(Killed):
            train(manifest, report, *SHORT)
    state = resume.newest(Path("runs/round2-tiny"))
    assert state is not None
    (state / "state.safetensors").write_bytes(b"half")
    with pytest.raises(UserError, match="not a state of this run"):
        train(manifest, report, *SHORT, resume=True)
    (state / "position.json").write_text("[]")
    with pytest.raises(UserError, match="not a state of this run"):
        train(manifest, report, *SHORT, resume=True)


def test_a_full_disk_keeps_the_last_good_state(
    manifest: Path, report: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, calls = resume.save_file, 0

    def full_at_the_third(tensors, path) -> None:
        nonlocal calls
        calls += 1
        if calls == 3:
            path.write_bytes(b"half")
            raise OSError(28, "No space left on device")
        real(tensors, path)

    with monkeypatch.context() as patch:
        patch.setattr(resume, "save_file", full_at_the_third)
        with pytest.raises(UserError, match=r"No space left.*the last good one is .*step-00000002"):
            train(manifest, report, *SHORT)
    states = list(Path("runs/round2-tiny/resume").iterdir())
    assert [path.name for path in states] == ["step-00000002-1-2"]
    assert load_file(states[0] / "state.safetensors")
    assert SMALL
