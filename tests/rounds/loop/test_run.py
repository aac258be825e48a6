"""A round is made of steps that are done once for what they were given, wherever it is killed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from asr_gate.corpus.errors import UserError
from asr_gate.rounds.cases.case import Case
from asr_gate.rounds.cases.store import CaseStore
from asr_gate.rounds.loop import run, steps
from asr_gate.rounds.loop.run import run_rounds
from asr_gate.rounds.loop.state import read_rounds
from asr_gate.rounds.registry.events import Registry
from asr_gate.rounds.registry.promote import roll_back
from tests.rounds.loop.commands import Commands, Killed, go, prepare, settings

ALL = ["audit", "train", "eval", "gate", "promote"]


@pytest.fixture
def commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Commands:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CI", "1")  # no digest of a file that a test changes comes from a cache
    made = Commands()
    monkeypatch.setattr(run, "run_step", made)
    prepare(40)
    return made


def test_rounds_follow_changes_and_a_gate_ends_one(commands: Commands) -> None:
    first = go()
    assert (first.exit_code, first.round.number, commands.calls) == (0, 1, ALL)
    assert go().round == first.round  # nothing changed
    assert commands.calls == ALL

    settings(20)
    planned = run_rounds(Path("rounds.toml"), dry_run=True, asr=["asr"])
    assert [one.name for one in planned.planned if one.runs] == [
        "train",
        "evaluate",
        "gate",
        "promote",
    ]
    second = go()
    assert (second.exit_code, second.round.number) == (0, 2)
    assert commands.calls[5:] == ALL[1:]  # the audit is the same
    assert second.round.baseline.checkpoint.endswith("runs/round-1/final")

    settings(50)
    refused = go()
    assert (refused.exit_code, refused.round.refused) == (20, "gate")
    assert "gain overall" in refused.reason
    done = len(commands.calls)
    assert go() == refused
    assert len(commands.calls) == done
    in_use = Registry().show()
    assert in_use is not None
    assert in_use.model.checkpoint.endswith("runs/round-2/final")

    # Against another model in use it is another round, of the same model.
    roll_back(Registry())
    commands.calls.clear()
    assert go().round.number == 4
    assert commands.calls == ["gate"]
    assert [one.outcome for one in read_rounds()] == [
        "promoted",
        "promoted",
        "refused: gate",
        "refused: gate",
    ]


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("when", ["before", "after"])
def test_killed_anywhere_it_ends_with_the_same_promotion(
    commands: Commands, name: str, when: str
) -> None:
    commands.kill = (name, when)
    with pytest.raises(Killed):
        go()
    done = go()
    assert (done.exit_code, done.round.number, done.round.promoted) == (0, 1, True)
    assert [one.kind for one in Registry().events()] == ["promote"]
    # What was done before is not done again.
    again = [name] if when == "after" else []
    assert sorted(commands.calls) == sorted([*ALL, *again])


def test_what_changes_in_a_round_is_made_again(commands: Commands) -> None:
    commands.kill = ("gate", "before")
    with pytest.raises(Killed):
        go()
    settings(30)
    done = go()
    assert (done.exit_code, done.round.number) == (0, 1)
    assert commands.calls == ["audit", "train", "eval", "train", "eval", "gate", "promote"]
    assert done.round.steps["train"].facts["checkpoint"] == "runs/round-1-2/final"


def test_a_model_that_was_changed_is_trained_again(commands: Commands) -> None:
    go()
    Path("runs/round-1/final/model.json").write_text(json.dumps({"share": 0.3}))
    planned = run_rounds(Path("rounds.toml"), dry_run=True, asr=["asr"]).planned
    assert [one.runs for one in planned] == [False, True, True, True, True]


def test_an_audit_that_stops_ends_the_round(commands: Commands) -> None:
    commands.decision = "STOP"
    stopped = go()
    assert (stopped.exit_code, stopped.round.refused) == (20, "audit")
    assert stopped.reason.startswith("audit: STOP")
    commands.decision = "PROCEED"
    assert go().exit_code == 20  # the rows are the same
    path = Path("train/rows.jsonl")
    path.write_text(path.read_text().replace("red", "blue"))
    assert (go().exit_code, go().round.number) == (0, 2)
    assert commands.calls == ["audit", *ALL]


def test_a_sweep_is_due_after_so_many_cases(
    commands: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings(40, "[sweep]\nevery_cases = 100\n")
    assert not go().round.sweep  # its model makes cases, but fewer than that
    store = CaseStore(Path("cases.sqlite3"))
    cases = [
        Case(source="production", row=f"r{n}", reference="a b", hypothesis="a c", model="m",
             audio="a.wav", domain="phone", language="en")
        for n in range(100)
    ]  # fmt: skip
    store.add(cases)
    settings(20, "[sweep]\nevery_cases = 100\n")
    planned = run_rounds(Path("rounds.toml"), dry_run=True, asr=["asr"])
    assert [one.name for one in planned.planned if one.runs][:2] == ["sweep", "train"]


def test_mistakes_of_usage(commands: Commands, monkeypatch: pytest.MonkeyPatch) -> None:
    settings(40, "[sweeps]\n")
    with pytest.raises(UserError, match="sweeps"):
        go()
    with pytest.raises(UserError, match="no such file"):
        run_rounds(Path("none.toml"))
    settings(40)
    monkeypatch.setattr(steps, "RUNS", Path("runs"))
    Path("rounds/round-1").mkdir(parents=True)
    Path("rounds/round-1/round.json").write_text("{}")
    with pytest.raises(UserError, match="not the file of a round"):
        go()
