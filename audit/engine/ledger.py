"""What is measured of one audit: counted, told, and kept on disk every few seconds."""

from __future__ import annotations

import time
from collections.abc import Iterable
from threading import Lock
from typing import Protocol

from asr_gate.audit.engine.parts import Parts
from asr_gate.audit.records.measured import Measured
from asr_gate.corpus.utterance import Seconds

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


class Ledger:
    """The measurements of one audit, whoever makes them."""

    def __init__(
        self, parts: Parts, kept: dict[str, Measured], progress: Progress, total: int
    ) -> None:
        """Prepare.

        Args:
            parts: where measurements are kept.
            kept: those that are there already, by id.
            progress: who is told.
            total: utterances that will be measured at most.
        """
        self._parts = parts
        self._progress = progress
        self._lock = Lock()
        self._new: list[Measured] = []
        """Measured, and not yet on disk."""
        self._written = time.monotonic()
        self._begun = self._closed = False
        self._earlier = len(kept)
        self.rows = dict(kept)
        """By id."""
        self.total = total

    @property
    def new(self) -> int:
        """Utterances that were measured since it was opened."""
        return len(self.rows) - self._earlier

    def begin(self) -> None:
        """Say how much there is; the first time only."""
        if not self._begun:
            self._progress.start(self.total, len(self.rows))
            self._begun = True

    def add(self, rows: Iterable[Measured]) -> None:
        """Take measurements; those of an utterance that is measured already say the same again.

        Raises:
            OSError: they cannot be written.
        """
        with self._lock:
            for row in rows:
                if self._closed:
                    return  # another audit may have the folder by now
                if row.id in self.rows:
                    continue
                self.rows[row.id] = row
                self._new.append(row)
                self._progress.advance(1, row.duration)
            if time.monotonic() - self._written >= KEEP_EVERY:
                self._write()

    def write(self) -> None:
        """Write what is not yet on disk."""
        with self._lock:
            self._write()

    def close(self) -> None:
        """Take nothing more."""
        with self._lock:
            self._closed = True

    def _write(self) -> None:
        if self._new:
            self._parts.write(self._new)
            self._new = []
        self._written = time.monotonic()
