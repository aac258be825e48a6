"""`asr rounds`: what it prints and its exit codes."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from asr_gate.corpus.datasets import versions
from asr_gate.rounds.loop import run
from tests.rounds.loop.commands import Commands, prepare, settings
from tests.rounds.models import write_model
from tests.rounds.runs import write_set


def test_what_init_writes_runs_once_the_data_is_there(
    asr: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CI", "1")  # no digest of a file that a test changes comes from a cache
    monkeypatch.setattr(run, "run_step", Commands())
    code, out, _ = asr("rounds", "init")
    assert code == 0
    assert "rounds.toml" in out
    assert "suite.toml" in out
    code, _, err = asr("rounds", "run")
    assert (code, len(err.splitlines())) == (2, 1)
    assert "corpus/test.jsonl" in err
    write_set(Path("corpus/train.jsonl"), "train", 20)
    write_set(Path("corpus/test.jsonl"), "test", 60)
    write_model(Path("embedded"), 0.6)
    assert asr("rounds", "run")[0] == 0
    (version,) = versions("train")
    assert (version.rows, version.number) == (20, 1)
    code, _, err = asr("rounds", "init")
    assert code == 2
    assert "is there already" in err


def test_run_and_status(asr: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CI", "1")  # no digest of a file that a test changes comes from a cache
    monkeypatch.setattr(run, "run_step", Commands())
    prepare(40)
    code, out, _ = asr("rounds", "run", "--dry-run")
    assert code == 0
    assert [line.split()[1] for line in out.splitlines()[1:]] == ["runs"] * 5
    assert not Path("rounds").exists()
    assert asr("rounds", "status")[1].startswith("No rounds yet")
    code, out, err = asr("rounds", "run", "rounds.toml")
    assert code == 0
    assert out.startswith("Round 1: promoted (in use: ")
    assert "round 1 gate: pass: gain overall" in err
    settings(50)
    code, out, _ = asr("rounds", "run", "rounds.toml", "--json")
    told = json.loads(out)
    assert (code, told["exit_code"], told["outcome"]) == (20, 20, "refused: gate")
    code, out, _ = asr("rounds", "status", "--plot", "rounds.png")
    assert code == 0
    assert "refused: gate" in out
    assert Path("rounds.png").exists()
    assert [one["outcome"] for one in json.loads(asr("rounds", "status", "--json")[1])] == [
        "promoted",
        "refused: gate",
    ]
    for arguments in (("run", "none.toml"), ("status", "none.toml"), ("demo", ".")):
        code, _, err = asr("rounds", *arguments)
        assert (code, len(err.splitlines())) == (2, 1)
