"""When a run evaluates, and when it saves its state."""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate

from asr_gate.corpus.utterance import Seconds
from asr_gate.train.data.rows import Row
from asr_gate.train.distributed import Ranks
from asr_gate.train.recipes import Checkpoints, Evaluation

Step = Sequence[Sequence[int]]
"""The batches of one step, as indices into the training rows."""

ASKED_EVERY = 10
"""Steps between two looks at the clock: processes have to agree on it, and that takes time."""


def plan_evaluations(
    planned: Sequence[Sequence[Step]], rows: Sequence[Row], settings: Evaluation
) -> dict[int, str]:
    """Names of the checkpoints that are evaluated, by the step of the run after which they are due.

    They are counted from the plan and never from a clock: which checkpoints there are, and so which
    is the best, must not depend on how fast a machine is.

    Args:
        planned: the steps of each epoch.
        rows: that train.
        settings: of the recipe.
    """
    due: dict[int, str] = {}
    before = 0
    for epoch, steps in enumerate(planned, start=1):
        within = {before + step for step in _at_even_distances(steps, rows, settings.every_hours)}
        if settings.every_steps:
            all_steps = range(before + 1, before + len(steps) + 1)
            within |= {step for step in all_steps if step % settings.every_steps == 0}
        due |= {step: f"step-{step}" for step in sorted(within)}
        before += len(steps)
        due[before] = f"epoch-{epoch}"
    return due


def _at_even_distances(
    steps: Sequence[Step], rows: Sequence[Row], hours: float | None
) -> Iterator[int]:
    """Steps of an epoch that divide its audio into equal parts of about so many hours.

    Equal parts, so that none is due just before the evaluation at the epoch's end.
    """
    if hours is None:
        return
    seconds = (sum(rows[index].seconds for batch in step for index in batch) for step in steps)
    trained = list(accumulate(seconds))
    parts = round(trained[-1] / (3600 * hours))
    for part in range(1, parts):
        yield bisect_left(trained, trained[-1] * part / parts) + 1


class StateCadence:
    """When the state is due between evaluations: by steps, by minutes, or by both.

    The time may decide here, because a state changes no result.
    """

    def __init__(
        self, settings: Checkpoints, ranks: Ranks, now: Callable[[], Seconds] = time.monotonic
    ) -> None:
        self.settings = settings
        self.ranks = ranks
        self._now = now
        self._last = now()

    def due(self, step: int) -> bool:
        """Whether to save after this step; every process has to ask, and gets the same answer."""
        steps, minutes = self.settings.state_every_steps, self.settings.state_every_minutes
        if steps and step % steps == 0:
            return True
        if not minutes or step % ASKED_EVERY:
            return False
        return self.ranks.from_main(self._now() - self._last >= 60 * minutes)

    def saved(self) -> None:
        """The state has just been saved."""
        self._last = self._now()
