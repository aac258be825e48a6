"""`asr sweep`, and overrides as W&B's agents write them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click
import pytest
import yaml

from asr_gate.cli.train import run as train_command

Asr = Callable[..., tuple[int, str, str]]


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_a_file_is_made_once_and_can_be_changed_by_hand(asr: Asr) -> None:
    code, out, _ = asr("sweep", "init", "ctc-embedded", "--data", "a.jsonl", "--method", "bayes")
    assert code == 0 and "5 trials" in out
    content = yaml.safe_load(Path("sweep.yaml").read_text())
    assert content["command"][:5] == ["asr", "train", "${program}", "--data", "a.jsonl"]
    code, _, error = asr("sweep", "init", "ctc-embedded")
    assert code == 2 and "sweep.yaml" in error
    assert asr("sweep", "init")[0] == 0  # checks it
    code, out, _ = asr("sweep", "status", "sweep.yaml")
    assert code == 0 and "nothing begun, of 5 trials" in out


@pytest.mark.parametrize(("word", "expected"), [("agent", 2), ("best", 30), ("refine", 30)])
def test_before_anything_has_begun(asr: Asr, word: str, expected: int) -> None:
    asr("sweep", "init", "ctc-embedded")
    code, _, error = asr("sweep", word, "sweep.yaml")
    assert code == expected and error.startswith("asr: sweeps/sweep: no ")
    assert not Path("sweeps").exists() and not Path("refined.yaml").exists()


@pytest.mark.parametrize("command", ["run", "agent", "status", "best", "refine"])
def test_a_file_that_is_not_there(asr: Asr, command: str) -> None:
    code, _, error = asr("sweep", command, "nosuch.yaml")
    assert code == 2 and error.count("\n") == 1 and "nosuch.yaml" in error


def test_overrides_with_hyphens() -> None:
    words = ["ctc-embedded", "--learning_rate=0.5", "--report=r", "epochs=4", "--data.split=x"]
    given = train_command.make_context("train", words).params
    assert given["overrides"] == ("learning_rate=0.5", "epochs=4", "data.split=x")
    assert given["report"] == "r"
    for wrong in ("--reprot=r", "--learning_rate"):
        with pytest.raises(click.NoSuchOption):
            train_command.make_context("train", ["ctc-embedded", wrong])
