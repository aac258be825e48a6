"""Measures utterances in this process, in order, except those that are on disk already."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from threading import Lock
from typing import Protocol

from asr_gate.audit.engine.measure import Measurer
from asr_gate.audit.engine.shards import Shards
from asr_gate.audit.records.measured import Measured
from asr_gate.corpus.utterance import Seconds, Utterance

KEEP_EVERY: Seconds = 5.0
"""So much work is lost at most if the audit is killed, beside what is under way."""


class Progress(Protocol):
    """Who is told how far the audit is; from several threads, one at a time."""

    def say(self, line: str) -> None:
        """What is audited, and by which model; said first."""

    def start(self, total: int, done: int) -> None:
        """The audit has at most `total` utterances; `done` are there from an earlier run."""

    def advance(self, utterances: int, seconds: Seconds) -> None:
        """So many more utterances and seconds of audio are measured."""


class LocalEngine:
    """Measures the utterances of one audit, and keeps every few seconds what is new."""

    def __init__(
        self,
        measurer: Measurer,
        shards: Shards,
        kept: dict[str, Measured],
        progress: Progress,
        total: int,
    ) -> None:
        """Prepare.

        Args:
            measurer: measures a group of utterances.
            shards: where measurements are kept.
            kept: those that are there already, by id.
            progress: who is told.
            total: utterances that will be measured at most.
        """
        self._measurer = measurer
        self._shards = shards
        self._kept = kept
        self._progress = progress
        self._lock = Lock()
        self._new: list[Measured] = []
        """Measured, and not yet on disk."""
        self._written = time.monotonic()
        self._begun = self._stopped = False
        self.total = total
        self.done = len(kept)
        """Utterances that are measured."""

    @property
    def new(self) -> int:
        """Utterances that were measured by this engine, and not taken from a cache."""
        return self.done - len(self._kept) - self._measurer.from_cache

    @property
    def from_cache(self) -> int:
        """Utterances whose own measurements an earlier audit made."""
        return self._measurer.from_cache

    def run(self, groups: Iterable[list[Utterance]]) -> Iterator[list[Measured]]:
        """Measure groups, in order; one is aligned while the next one is decoded.

        Args:
            groups: utterances whose batches are filled together. What a group holds must follow
                from the plan, or from the measurements of the groups before it, so that an audit
                can be resumed: then it ends the same, wherever it was interrupted.
        """
        if not self._begun:
            self._progress.start(self.total, self.done)
            self._begun = True
        waiting: Callable[[], list[Measured]] | None = None
        for group in groups:
            started = self._measurer.start(group, self._kept, self._add)
            if waiting is not None:
                yield waiting()
            waiting = started
        if waiting is not None:
            yield waiting()
        self.keep()

    def keep(self) -> None:
        """Write what is measured and not yet on disk."""
        with self._lock:
            self._keep()

    def stop(self) -> None:
        """Drop what has not begun, and leave what is under way to itself."""
        with self._lock:
            self._stopped = True
        self._measurer.stop()

    def _add(self, row: Measured) -> None:
        with self._lock:
            if self._stopped:
                return  # another audit may have the folder by now
            self._new.append(row)
            if time.monotonic() - self._written >= KEEP_EVERY:
                self._keep()
            self.done += 1
            self._progress.advance(1, row.duration)

    def _keep(self) -> None:
        if self._new:
            self._shards.write(self._new)
            self._new = []
        self._written = time.monotonic()
