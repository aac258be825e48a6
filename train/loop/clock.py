"""Where the time of a run goes: each second of this process belongs to one kind."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal

from asr_gate.corpus.utterance import Seconds
from asr_gate.train.plan import TimeSpent

Kind = Literal["training", "evaluation", "checkpoints", "waiting", "other"]


class Clock:
    """Counts from its creation on; what is not counted as anything else is `other`.

    On a GPU, kernels that were only queued count where the process next waits for them. As each
    step waits for its loss, that moves no more than the optimizer's part of it.
    """

    def __init__(self, now: Callable[[], Seconds] = time.perf_counter) -> None:
        self._now = now
        self._kind: Kind = "other"
        self._since = now()
        self._seconds: dict[str, Seconds] = dict.fromkeys(TimeSpent.model_fields, 0.0)

    @contextmanager
    def counting(self, kind: Kind) -> Iterator[None]:
        """Count the time in this block; a block in it may count its own as another kind."""
        before = self._kind
        self._turn_to(kind)
        try:
            yield
        finally:
            self._turn_to(before)

    def spent(self) -> TimeSpent:
        """The time so far."""
        self._turn_to(self._kind)
        return TimeSpent(**self._seconds)

    def _turn_to(self, kind: Kind) -> None:
        now = self._now()
        self._seconds[self._kind] += now - self._since
        self._kind, self._since = kind, now
