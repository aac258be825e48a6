"""`asr sweep`, and overrides as W&B's agents write them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click
import pytest
import yaml

from asr_gate.cli.train import run as train_command
from tests.rounds.sweep.support import make_data

Asr = Callable[..., tuple[int, str, str]]


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    make_data(20)


INIT = ("sweep", "init", "ctc-embedded", "--data", "train/rows.jsonl")


def test_a_file_is_made_once_and_can_be_changed_by_hand(asr: Asr) -> None:
    code, out, _ = asr(*INIT, "--method", "bayes")
    assert code == 0 and "5 trials" in out
    content = yaml.safe_load(Path("sweep.yaml").read_text())
    assert content["command"][:5] == ["asr", "train", "${program}", "--data", "train/rows.jsonl"]
    code, _, error = asr(*INIT)
    assert code == 2 and "sweep.yaml" in error
    assert asr("sweep", "init")[0] == 0  # checks it
    code, out, _ = asr("sweep", "status", "sweep.yaml")
    assert code == 0 and "nothing begun, of 5 trials" in out


@pytest.mark.parametrize(("word", "expected"), [("agent", 2), ("best", 30), ("refine", 30)])
def test_before_anything_has_begun(asr: Asr, word: str, expected: int) -> None:
    asr(*INIT)
    code, _, error = asr("sweep", word, "sweep.yaml")
    assert code == expected and error.startswith("asr: sweeps/sweep: no ")
    assert not Path("sweeps").exists() and not Path("refined.yaml").exists()


@pytest.mark.parametrize(
    ("words", "expected", "said"),
    [
        (["ctc-embeded"], 2, "did you mean ctc-embedded?"),
        (["ctc-embedded", "--data", "nosuch.jsonl"], 2, "nosuch.jsonl"),
        (["ctc-embedded", "--data", "bad.jsonl"], 2, "bad.jsonl:2"),
        ([*INIT[2:], "--report", "nosuch"], 30, "nosuch: no such report"),
        ([*INIT[2:], "--report", "bad.jsonl"], 30, "bad.jsonl"),
    ],
)
def test_init_looks_before_it_writes(asr: Asr, words: list[str], expected: int, said: str) -> None:
    row = Path("train/rows.jsonl").read_text().partition("\n")[0]
    Path("bad.jsonl").write_text(f"{row}\n{{\n")
    code, _, error = asr("sweep", "init", *words)
    assert code == expected and said in error and error.count("\n") == 1
    assert not Path("sweep.yaml").exists()


def test_init_checks_what_a_file_names(asr: Asr) -> None:
    asr(*INIT)
    Path("train/rows.jsonl").unlink()
    code, _, error = asr("sweep", "init")
    assert code == 2 and error.startswith("asr: sweep.yaml:2: command: train/rows.jsonl")


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
