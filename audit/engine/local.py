"""Measures shards in this process, in order, from disk where they are there already."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

from asr_gate.audit.engine.measure import Measurer
from asr_gate.audit.engine.shards import Shards
from asr_gate.audit.records.measured import Measured
from asr_gate.corpus.utterance import Seconds, Utterance


class Progress(Protocol):
    """Who is told how far the audit is."""

    def start(self, total: int, done: int) -> None:
        """The audit has at most `total` utterances; `done` are there from an earlier run."""

    def advance(self, utterances: int, seconds: Seconds) -> None:
        """So many more utterances and seconds of audio are measured."""


class LocalEngine:
    """Measures the shards of one audit."""

    def __init__(self, measurer: Measurer, shards: Shards, progress: Progress, total: int) -> None:
        """Prepare.

        Args:
            measurer: measures a shard.
            shards: where they are kept.
            progress: who is told.
            total: utterances that will be measured at most.
        """
        self._measurer = measurer
        self._shards = shards
        self._progress = progress
        self._number = 0
        self._begun = False
        self.total = total
        self.done = 0
        """Utterances that are measured and kept."""

    def run(self, shards: Iterable[list[Utterance]]) -> Iterator[list[Measured]]:
        """Measure shards, in order; one is aligned while the next one is decoded.

        Args:
            shards: the utterances of each. What a shard holds must follow from the plan, or from
                the measurements of the shards before it, so that an audit can be resumed.
        """
        waiting: tuple[int, Callable[[], list[Measured]]] | None = None
        for shard in shards:
            number, self._number = self._number, self._number + 1
            kept = self._shards.read(number, [u.id for u in shard])
            started = None if kept is not None else self._start(shard)
            if waiting is not None:
                yield self._finish(*waiting)
                waiting = None
            if kept is not None:
                yield self._count(kept)
            elif started is not None:
                waiting = number, started
        if waiting is not None:
            yield self._finish(*waiting)

    def stop(self) -> None:
        """Drop what has not begun, and leave what is under way to itself."""
        self._measurer.stop()

    def _start(self, shard: list[Utterance]) -> Callable[[], list[Measured]]:
        if not self._begun:
            self._progress.start(self.total, self.done)
            self._begun = True
        return self._measurer.start(shard)

    def _finish(self, number: int, wait: Callable[[], list[Measured]]) -> list[Measured]:
        measured = wait()
        self._shards.write(number, measured)
        return self._count(measured)

    def _count(self, measured: list[Measured]) -> list[Measured]:
        self.done += len(measured)
        if self._begun:
            self._progress.advance(len(measured), sum(row.duration for row in measured))
        return measured
