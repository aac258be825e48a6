"""A round is made of steps that are done once for what they were given, wherever it is killed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import pytest

from asr_gate.corpus.datasets import versions
from asr_gate.corpus.errors import UserError
from asr_gate.corpus.strict import read_yaml_text
from asr_gate.rounds.cases.case import Case
from asr_gate.rounds.cases.store import CaseStore
from asr_gate.rounds.loop import run
from asr_gate.rounds.loop.run import Planned, run_rounds
from asr_gate.rounds.loop.state import read_rounds
from asr_gate.rounds.registry.events import Registry
from asr_gate.rounds.registry.promote import roll_back
from asr_gate.rounds.sweep.confirm import Confirmation
from asr_gate.rounds.sweep.results import Best
from asr_gate.rounds.sweep.sweep import Sweep
from asr_gate.train import recipes
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


@pytest.mark.parametrize(
    ("name", "when"),
    [("audit", "before"), ("audit", "after"), ("train", "after"), ("eval", "after"),
     ("gate", "after"), ("promote", "after")],
)  # fmt: skip
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


def test_a_project_that_was_moved_goes_on_where_it_is(
    commands: Commands, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("project").mkdir()
    monkeypatch.chdir("project")
    prepare(40)
    first = go()
    settings(20)
    commands.kill = ("train", "after")
    with pytest.raises(Killed):
        go()
    monkeypatch.chdir(tmp_path)
    moved = Path("project").rename(tmp_path / "moved")
    monkeypatch.chdir(moved)
    commands.calls.clear()
    second = go()
    assert (second.exit_code, second.round.number) == (0, 2)
    assert second.round.steps["audit"] == first.round.steps["audit"].model_copy(
        update={"seconds": 0.0}
    )
    assert commands.calls == ["train", "eval", "gate", "promote"]
    assert not list(tmp_path.glob("project"))


def test_every_round_notes_a_version_of_its_data(commands: Commands) -> None:
    go()
    settings(20)
    go()  # the same data
    path = Path("train/rows.jsonl")
    path.write_text(path.read_text().replace("red", "blue"))
    done = go()
    assert [one.number for one in versions("train")] == [1, 2]
    assert done.round.steps["audit"].facts["dataset"] == "train v2"


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


SWEEP = "[sweep]\nevery_cases = 100\n"


def _add_cases(count: int) -> None:
    CaseStore(Path("cases.sqlite3")).add(
        [
            Case(source="production", row=f"r{n}", reference="a b", hypothesis="a c", model="m",
                 audio="a.wav", domain="phone", language="en")
            for n in range(count)
        ]
    )  # fmt: skip


def test_a_sweep_is_due_after_so_many_cases(commands: Commands) -> None:
    settings(40, SWEEP)
    assert not go().round.sweep  # its model makes cases, but fewer than that
    assert [one.runs for one in _plan()] == [False] * 5
    _add_cases(100)
    assert [one.name for one in _plan() if one.runs][:2] == ["sweep", "train"]


def _plan() -> Sequence[Planned]:
    return run_rounds(Path("rounds.toml"), dry_run=True, asr=["asr"]).planned


@pytest.mark.parametrize(("wer", "taken"), [(0.18, True), (0.195, False)])
def test_a_sweep_is_taken_only_if_clearly_better_and_kept_with_a_promoted_model(
    commands: Commands, monkeypatch: pytest.MonkeyPatch, wer: float, taken: bool
) -> None:
    recipe = Path("best.yaml").absolute()
    recipes.write(recipe, recipes.load("round2-tiny", ["seed=20"])[1])
    confirmation = Confirmation(
        trial=3, better=True, compared=[3], comparisons=1, confidence=0.95, utterances=50,
        recipe_wer=0.2, wer=wer, low=-0.04, high=-0.001,
    )  # fmt: skip
    best = Best({}, 0.1, 3, recipe, confirmation)
    monkeypatch.setattr(Sweep, "from_yaml", lambda *_, **__: SimpleNamespace(best=lambda: best))
    _add_cases(100)
    settings(40, SWEEP)
    done = go()
    assert commands.calls == ["audit", "sweep", *ALL[1:]]
    file = read_yaml_text(next(Path("rounds/round-1").glob("sweep-*.yaml")))
    assert "run_cap: 5" in file
    assert "seed=40" in file
    assert _share() == (0.2 if taken else 0.4)
    assert go().round == done.round
    # The next round has no sweep, and the recipe that was found, until another is asked for.
    path = Path("train/rows.jsonl")
    path.write_text(path.read_text().replace("red", "blue"))
    commands.calls.clear()
    go()
    assert commands.calls[:2] == ["audit", "train"]
    assert _share() == (0.2 if taken else 0.4)
    settings(10, SWEEP)
    go()
    assert _share() == 0.1


def _share() -> float:
    """Of mistakes, of the newest round's model."""
    model = read_rounds()[-1].steps["train"].facts["checkpoint"]
    return json.loads(Path(model, "model.json").read_text())["share"]


def test_mistakes_of_usage(commands: Commands) -> None:
    settings(40, "[sweeps]\n")
    with pytest.raises(UserError, match=r"rounds.toml:8: sweeps: .* nearest is \[sweep\]"):
        go()
    with pytest.raises(UserError, match="no such file"):
        run_rounds(Path("none.toml"))
    settings(40)
    Path("rounds/round-1").mkdir(parents=True)
    Path("rounds/round-1/round.json").write_text("{}")
    with pytest.raises(UserError, match="not the file of a round"):
        go()
