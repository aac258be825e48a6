"""Moments to kill a demo at."""

from __future__ import annotations

from asr_gate.rounds.loop.state import Round, Step
from bench.rounds_kills import draw


def test_moments_fall_into_the_steps_that_took_time() -> None:
    def step(seconds: float) -> Step:
        return Step(inputs="", status="done", seconds=seconds)

    first = Round(
        number=1, began="", cases=0, sweep=False, steps={"audit": step(30), "train": step(60)}
    )
    second = first.model_copy(
        update={
            "number": 2,
            "steps": {"audit": step(0), "gate": step(10)},
        }  # the audit is round 1's
    )
    moments = draw([first, second], 300)
    seconds = {(1, "audit"): 30, (1, "train"): 60, (2, "gate"): 10}
    assert {(one.round, one.step) for one in moments} == set(seconds)
    assert all(0 <= one.after < seconds[one.round, one.step] for one in moments)
    assert len(moments) == 300
    order = [list(seconds).index((one.round, one.step)) for one in moments]
    assert order == sorted(order)
    assert moments == draw([first, second], 300)
