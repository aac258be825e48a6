"""When a run evaluates and saves, where its time goes, and what is expected of it."""

from __future__ import annotations

from copy import copy
from pathlib import Path
from typing import Any

import pytest

from asr_gate.corpus.utterance import Utterance
from asr_gate.train import recipes
from asr_gate.train.data.rows import Row, Selection
from asr_gate.train.distributed import Ranks
from asr_gate.train.loop.cadence import StateCadence, plan_evaluations
from asr_gate.train.loop.clock import Clock
from asr_gate.train.plan import TimeSpent
from bench.training_time import Counter


class Hands:
    """A clock's time, set by the test."""

    def __init__(self) -> None:
        self.at = 0.0

    def __call__(self) -> float:
        return self.at


def test_each_second_counts_once_and_what_is_within_counts_as_itself() -> None:
    hands = Hands()
    clock = Clock(hands)
    hands.at = 3
    with clock.counting("evaluation"):
        hands.at = 10
        with pytest.raises(KeyError), clock.counting("checkpoints"):
            hands.at = 12
            raise KeyError
        hands.at = 13
    assert clock.spent() == TimeSpent(evaluation=8, checkpoints=2, other=3)
    hands.at = 20
    spent = clock.spent()
    assert spent.total == 20
    assert spent.shares() == {
        "training": 0, "evaluation": 0.4, "checkpoints": 0.1, "waiting": 0, "other": 0.5,
    }  # fmt: skip
    assert spent.plus(TimeSpent(training=5)).total == 25
    assert TimeSpent().shares()["training"] == 0


def rows(count: int, seconds: float) -> list[Row]:
    utterance = Utterance("u", "a b", Path("a.wav"), "a.wav", "m:1")
    return [Row(utterance, seconds, "English")] * count


def due(settings: recipes.Evaluation, steps: int, batches: int = 1) -> dict[int, str]:
    """Two epochs of steps with so many batches of one row of a minute each."""
    planned = [[[[step * batches + n] for n in range(batches)] for step in range(steps)]] * 2
    return plan_evaluations(planned, rows(steps * batches, 60.0), settings)


def test_evaluations_divide_an_epoch_s_audio_evenly() -> None:
    two_hours = recipes.Evaluation(every_hours=2)
    assert due(two_hours, 240) == {120: "step-120", 240: "epoch-1", 360: "step-360", 480: "epoch-2"}
    # About two hours: five are two parts of two and a half, and fewer than three are one.
    assert list(due(two_hours, 300)) == [150, 300, 450, 600]
    assert list(due(two_hours, 170)) == [170, 340]
    assert list(due(two_hours, 120, batches=2)) == [60, 120, 180, 240], "of audio, not of steps"
    assert list(due(recipes.Evaluation(every_hours=0.001), 3)) == [1, 2, 3, 4, 5, 6]


def test_evaluations_may_come_by_steps_or_both_ways() -> None:
    steps = recipes.Evaluation(every_steps=100, every_hours=None)
    assert list(due(steps, 150)) == [100, 150, 200, 300]
    assert due(steps, 150)[300] == "epoch-2"
    both = recipes.Evaluation(every_steps=100, every_hours=2)
    assert list(due(both, 240)) == [100, 120, 200, 240, 300, 360, 400, 480]
    assert list(due(recipes.Evaluation(every_hours=None), 150)) == [150, 300]


def test_a_state_is_due_by_steps_and_by_minutes_since_the_last_one() -> None:
    hands = Hands()
    states = StateCadence(recipes.Checkpoints(state_every_minutes=1), Ranks(), hands)
    hands.at = 59.0
    assert not states.due(10)
    hands.at = 61.0
    assert not states.due(11), "the clock is looked at now and then"
    assert states.due(20)
    states.saved()
    hands.at = 120.0
    assert not states.due(30)
    settings = recipes.Checkpoints(state_every_steps=7, state_every_minutes=None)
    assert [step for step in range(1, 31) if StateCadence(settings, Ranks()).due(step)] == [
        7, 14, 21, 28,
    ]  # fmt: skip


def test_every_process_saves_when_the_first_one_says_so() -> None:
    class Second(Ranks):
        def from_main(self, value: Any) -> Any:
            return True

    states = StateCadence(recipes.Checkpoints(state_every_minutes=1), Second(1, 2), Hands())
    assert states.due(10)


SHORT = ("phases.0.epochs=[1]", "phases.1.epochs=[2]")


@pytest.mark.slow
def test_round2_spends_its_time_on_training() -> None:
    """500 hours on two A100: what is not training takes less than a tenth, also at better speed."""
    found = Counter()(*SHORT)
    assert found.expected is not None
    assert found.machine == "2 x A100-80GB"
    assert (found.evaluations, found.checkpoints) == (4, 5)
    for factor in (1.0, 1.7):
        training = found.expected.training / factor
        rest = found.expected.evaluation + found.expected.checkpoints + found.expected.waiting
        assert rest / (training + rest) < 0.1


@pytest.fixture(scope="module")
def small() -> Counter:
    """A few hours of the same rows."""
    return Counter(repeated=4)


@pytest.mark.parametrize(
    ("processes", "b", "a"), [(1, (0.11, 0.16), (0.15, 0.20)), (2, (0.13, 0.17), (0.15, 0.25))]
)
def test_the_count_gives_the_step_times_that_it_rests_on(
    processes: int, b: tuple[float, float], a: tuple[float, float], small: Counter
) -> None:
    """Of 52 s of audio: ten rows of 5.2 s in each process."""
    steps = 30
    train = rows(10 * steps * processes, 5.2)
    count = copy(small)
    count.selection = Selection(train, train[:1], [], [])
    named = (
        f"budget.processes={processes}", "data.batch_seconds=60", "optimizer.accumulate=1",
        "phases.1.gradient_checkpointing=true",
    )  # fmt: skip
    one = count(*SHORT, *named).expected
    two = count("phases.0.epochs=[1,2]", "phases.1.epochs=[3]", *named).expected
    assert one is not None
    assert two is not None
    step_of_b = (two.training - one.training) / steps
    assert b[0] < step_of_b < b[1]
    assert a[0] < one.training / steps - step_of_b < a[1]


def test_an_own_measurement_decides(small: Counter) -> None:
    own = small(*SHORT, "budget.realtime=200")
    audio = sum(row.seconds for row in small.selection.training)
    assert own.expected is not None
    assert own.expected.training == pytest.approx(audio * 2 / (2 * 200))
    assert own.realtime == pytest.approx(200)


def test_slow_reading_and_many_evaluations_show_in_the_count(small: Counter) -> None:
    usual = small(*SHORT)
    often = small(*SHORT, "evaluation.every_steps=1", "data.workers=0")
    assert usual.expected is not None
    assert often.expected is not None
    assert often.evaluations > 10 * usual.evaluations
    assert often.written > 10 * usual.written
    assert often.expected.evaluation > 10 * usual.expected.evaluation
    assert often.expected.waiting > usual.expected.waiting == 0
