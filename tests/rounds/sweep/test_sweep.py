"""Sweeps: which trials are trained, by whom, and what is made of them."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections import Counter
from pathlib import Path
from unittest.mock import create_autospec

import optuna  # noqa: F401  # here, so that forked processes have it
import pytest

from asr_gate.audit.gate import NoVerdict
from asr_gate.corpus.errors import UserError
from asr_gate.rounds.sweep.picture import draw
from asr_gate.rounds.sweep.sweep import Sweep
from asr_gate.rounds.sweep.track import log_sweep
from asr_gate.rounds.sweep.trials import STARTS
from asr_gate.tracking import Tracker
from asr_gate.train import recipes
from tests.rounds.sweep.support import RANDOM, Evaluating, make_data, sweep
from tests.train.support import write_report

FEW = RANDOM + "run_cap: 4\n"


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("asr_gate.rounds.sweep.training.POLL", 0.02)
    monkeypatch.setattr("asr_gate.rounds.sweep.sweep.POLL", 0.05)
    monkeypatch.setattr("asr_gate.rounds.sweep.report.draw", lambda *_: None)
    make_data()


def started() -> list[list[str]]:
    """Trial, process and evaluations that were there, of each training that was started."""
    path = next(Path("sweeps").glob("*/trials/started.txt"), None)
    return [] if path is None else [line.split() for line in path.read_text().splitlines()]


def wait_for(count: int) -> None:
    until = time.monotonic() + 120
    while len(started()) < count:
        assert time.monotonic() < until
        time.sleep(0.02)


def test_no_trial_is_lost_and_none_is_trained_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASR_STUB_SECONDS", "0.1")
    agents = [
        multiprocessing.get_context("fork").Process(target=lambda: sweep().run()) for _ in range(4)
    ]
    for one in agents:
        one.start()
    for count in (5, 9):
        wait_for(count)
        os.kill(agents.pop().pid or 0, signal.SIGKILL)
    for one in agents:
        one.join(200)
        assert one.exitcode == 0
    rows = sweep().status().rows
    assert [row.number for row in rows] == list(range(16))
    assert {row.state for row in rows} == {"complete"}
    assert len({tuple(row.settings.values()) for row in rows}) == 16
    # Started again is a trial only where its agent was killed, if it was not between two.
    times = Counter(name for name, *_ in started())
    assert len(times) == 16 and times.total() <= 18
    best = sweep().best()
    assert best.overrides == {"learning_rate": 2.0, "warmup": 0.0}
    assert best.objective == pytest.approx(0.1)
    assert best.adopted and best.confirmation is not None and best.confirmation.high is not None
    assert best.confirmation.high < 0


def test_the_winner_is_confirmed_on_rows_that_no_trial_saw() -> None:
    evaluating = Evaluating()
    made = sweep(FEW, evaluate=evaluating)
    made.run()
    admission = made.admit()
    assert evaluating.calls[0].endswith("recipe/run/final") and len(evaluating.calls) == 2
    assert len(admission.choose) > 2 and len(evaluating.asked) > 2
    assert evaluating.asked.isdisjoint(admission.choose)
    best = made.best()
    assert best.confirmation is not None
    assert best.confirmation.utterances == len(evaluating.asked)
    name, recipe = recipes.load(str(best.recipe))
    base = recipes.load("ctc-embedded", [f"learning_rate={best.overrides['learning_rate']}"])[1]
    assert name == "best" and recipe.phases == base.phases
    assert recipe.data.evaluation_part == "all" and recipe.wandb.log_model == base.wandb.log_model
    assert best.confirmation.said() in best.recipe.read_text()
    # It is there now, and nothing is trained again.
    made.run()
    assert len(started()) == 4 and len(evaluating.calls) == 2


def test_several_finalists_share_the_risk() -> None:
    evaluating = Evaluating()
    made = sweep(FEW + "controller: {type: cloud, confirm: 2}\n", evaluate=evaluating)
    made.run()
    found = made.best().confirmation
    assert found is not None and found.confidence == 0.975
    assert len(found.compared) == 2 and len(evaluating.calls) == 3
    models = [path for path in Path("sweeps/sweep/trials").glob("*/run/final") if path.is_dir()]
    assert len(models) == 2  # the others are deleted


def test_what_the_tracker_gets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("asr_gate.rounds.sweep.report.draw", draw)
    made = sweep(FEW)
    made.run()
    tracker = create_autospec(Tracker, instance=True)
    log_sweep(tracker, made, made.report())
    assert len(tracker.log_table.call_args.args[2]) == 4
    assert set(tracker.log_bars.call_args.args[2]) == {"learning_rate", "warmup"}
    assert tracker.log_metrics.call_args.args[0]["sweep/adopted"] == int(made.best().adopted)
    files = [path.name for path in tracker.log_artifact.call_args.args[0]]
    assert files == ["report.md", "report.png", "best.yaml"]
    assert Path("sweeps/sweep/report.png").stat().st_size > 1000
    assert "not confirmed" in Path("sweeps/sweep/report.md").read_text()


def test_the_same_trials_under_a_seed() -> None:
    first = sweep(FEW, out=Path("a"))
    first.run(2)
    second = sweep(FEW, out=Path("b"))
    second.run(1)
    second = sweep(FEW, out=Path("b"))
    second.run(1)
    other = sweep(FEW + "controller: {type: cloud, seed: 2}\n", out=Path("c"))
    other.run(1)
    settings = [[row.settings for row in one.status().rows] for one in (first, second, other)]
    assert settings[0] == settings[1]
    assert settings[0][0] != settings[2][0]


def test_bayes_draws_near_what_was_good() -> None:
    made = sweep(RANDOM.replace("method: random", "method: bayes") + "run_cap: 10\n")
    made.run(10 - 1)
    later = [row.settings["warmup"] for row in made.status().rows[5:]]
    assert sum(later) / len(later) < 0.15


def test_bad_trials_end_early(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASR_STUB_SECONDS", "0.1")
    rule = "early_terminate: {type: hyperband, min_iter: 1, eta: 2}\n"
    made = sweep(FEW.replace("cap: 4", "cap: 6") + rule)
    made.run()
    found = made.status()
    assert found.finished and found.count("pruned") > 0 and found.count("complete") > 0
    ended = [row for row in found.rows if row.state == "pruned"]
    assert all(row.evaluations < 3 for row in ended)


def test_a_trial_that_fails_does_not_end_the_sweep() -> None:
    made = sweep(FEW.replace("parameters:", "parameters:\n  seed: {values: [1, 13]}"))
    made.run()
    found = made.status()
    assert found.finished and found.count("failed") > 0 and found.count("complete") > 0
    assert "the loss is not finite" in {row.reason for row in found.rows}


@pytest.mark.parametrize(("how", "said"), [("full", "No space left"), ("missing", "no such file")])
def test_what_lies_outside_uses_up_no_trial(
    how: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ASR_STUB_ENDS", how)
    for _ in range(STARTS + 1):
        with pytest.raises(UserError, match=said) as caught:
            sweep(FEW).run()
        assert caught.value.exit_code == 2 and "\n" not in str(caught.value)
        assert [row.state for row in sweep(FEW).status().rows] == ["lost"]
    monkeypatch.delenv("ASR_STUB_ENDS")
    made = sweep(FEW)
    made.run(1)
    assert [row.state for row in made.status().rows] == ["complete"]


def test_what_kills_its_processes_again_and_again_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setenv("ASR_STUB_ENDS", "killed")
        for _ in range(STARTS):
            with pytest.raises(UserError, match="killed by signal 9") as caught:
                sweep(FEW).run()
            assert caught.value.exit_code == 137
    made = sweep(FEW)
    made.run(1)
    killed, other = made.status().rows
    assert killed.reason == f"its processes were killed {STARTS} times"
    assert (killed.state, other.state) == ("failed", "complete")


def test_values_with_which_no_training_begins_fail() -> None:
    made = sweep(RANDOM.replace("parameters:", "parameters:\n  seed: {values: [1, 14]}"))
    made.run(4)
    found = made.status()
    assert found.count("failed") > 0 and found.count("complete") > 0
    assert "these values do not fit together" in {row.reason for row in found.rows}


def test_ctrl_c_keeps_the_trial(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASR_STUB_SECONDS", "0.3")
    process = multiprocessing.get_context("fork").Process(target=lambda: sweep(FEW).run(1))
    process.start()
    wait_for(1)
    time.sleep(0.4)
    os.kill(process.pid or 0, signal.SIGINT)
    process.join(60)
    made = sweep(FEW)
    (trial,) = made.trials.all()
    assert trial.user_attrs["starts"] == 0 and made.status().count("lost") == 1
    monkeypatch.setenv("ASR_STUB_SECONDS", "0")
    made.run(1)
    assert [name for name, *_ in started()] == ["0000", "0000"]
    assert int(started()[1][2]) > 0
    assert made.status().rows[0].seconds == 21.0  # the time between does not count


def test_if_all_fail_it_ends() -> None:
    made = sweep(FEW.replace("parameters:", "parameters:\n  seed: {value: 13}"))
    with pytest.raises(UserError, match="the loss is not finite"):
        made.run()
    assert len(started()) == 3


def test_another_report_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    made = sweep(FEW)
    made.run(1)
    monkeypatch.setenv("ASR_STUB_DIGEST", "sha256:other")
    with pytest.raises(NoVerdict, match="another report"):
        made.run()
    monkeypatch.delenv("ASR_STUB_DIGEST")
    assert made.status().count("lost") == 1


def test_the_gate_is_passed_before_the_first_trial() -> None:
    write_report(Path("reports/phase0"), Path("train/rows.jsonl"), decision="STOP")
    with pytest.raises(UserError) as caught:
        sweep(FEW).run()
    assert caught.value.exit_code == 20
    assert not started()


def test_a_training_that_was_stopped_from_outside_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASR_STUB_SECONDS", "0.3")
    process = multiprocessing.get_context("fork").Process(target=lambda: sweep(FEW).run(1))
    process.start()
    wait_for(1)
    time.sleep(0.4)
    os.kill(int(started()[0][1]), signal.SIGTERM)
    process.join(60)
    monkeypatch.setenv("ASR_STUB_SECONDS", "0")
    made = sweep(FEW)
    made.run(1)
    assert [row.state for row in made.status().rows] == ["complete"]
    assert [name for name, *_ in started()] == ["0000", "0000"]
    assert int(started()[1][2]) > 0


def test_hours_end_a_sweep() -> None:
    made = sweep(FEW + "controller: {type: cloud, hours: 1.0e-9}\n")
    made.run()
    assert len(made.status().rows) == 1
    assert made.best().confirmation is not None


def test_another_file_in_the_same_folder_is_refused() -> None:
    sweep(FEW).run(1)
    with pytest.raises(UserError, match="another file"):
        sweep(FEW.replace("4.0", "8.0")).run(1)
    with pytest.raises(UserError, match="another file"):
        sweep(FEW + "controller: {type: cloud, confirm: 3}\n").run(1)
    more = FEW.replace("run_cap: 4", "run_cap: 5") + "controller: {type: cloud, hours: 9.0}\n"
    sweep(more).run(1)
    assert len(Sweep.from_yaml("sweeps/sweep").status().rows) == 2


def test_a_line_that_was_not_written_to_its_end_is_cut() -> None:
    sweep(FEW).run(1)
    with Path("sweeps/sweep/trials.journal").open("a") as file:
        file.write('{"op_code":')
    made = sweep(FEW)
    made.run(1)
    assert len(sweep(FEW).status().rows) == 2
