"""When a step has gone wrong."""

import math

import pytest

from asr_gate.train.loop.step import FEWEST_STEPS, divergence, usual_loss


def test_the_usual_loss_is_the_median_of_enough_steps() -> None:
    assert usual_loss([1.0] * (FEWEST_STEPS - 1)) is None
    assert usual_loss([1.0] * FEWEST_STEPS + [9.0]) == 1.0


@pytest.mark.parametrize(
    ("loss", "norm", "usual", "leap", "wrong"),
    [
        (math.nan, 1.0, 1.0, 5.0, True),
        (1.0, math.inf, 1.0, 5.0, True),
        (5.1, 1.0, 1.0, 5.0, True),
        (4.9, 1.0, 1.0, 5.0, False),
        (99.0, 1.0, None, 5.0, False),
        (99.0, 1.0, 1.0, 0.0, False),
    ],
)
def test_a_step_diverges(
    loss: float, norm: float, usual: float | None, leap: float, wrong: bool
) -> None:
    assert (divergence(loss, norm, usual, leap) is not None) is wrong
