"""Progress: a bar with rate and end time on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

INTERVAL = 10.0
"""Seconds between two plain lines."""


class AuditProgress:
    """Shows how far an audit or an evaluation is, on standard error."""

    def __init__(self, doing: str = "aligning", done: str = "aligned") -> None:
        self._verbs = doing, done
        self._console = Console(stderr=True)
        self._bar = Progress(
            TextColumn(doing),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
            console=self._console,
            transient=True,
            disable=not self._console.is_terminal,
        )
        self._task = self._bar.add_task("", total=None, rate="")
        self._total = self._done = 0
        self._new = 0
        self._seconds = 0.0
        self._began = self._said = time.monotonic()

    def __enter__(self) -> AuditProgress:
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()

    def start(self, total: int, done: int) -> None:
        """The audit has `total` utterances, of which `done` are there already."""
        self._total, self._done = total, done
        self._began = self._said = time.monotonic()
        self._bar.update(self._task, total=total, completed=done)
        if not self._console.is_terminal:
            kept = f", {done} kept from before" if done else ""
            self._print(f"{self._verbs[0]} {total} utterances{kept}")

    def advance(self, utterances: int, seconds: float) -> None:
        """So many more utterances and seconds of audio are measured."""
        self._done += utterances
        self._new += utterances
        self._seconds += seconds
        now = time.monotonic()
        elapsed = max(now - self._began, 1e-6)
        rate = f"{self._seconds / elapsed:.0f} x real time"
        self._bar.update(self._task, completed=self._done, rate=rate)
        last = self._done == self._total
        if not self._console.is_terminal and (last or now - self._said >= INTERVAL):
            self._said = now
            left = (self._total - self._done) * elapsed / self._new
            self._print(f"{self._verbs[1]} {self._done}/{self._total}, {rate}, {left:.0f} s left")

    def _print(self, line: str) -> None:
        self._console.print(line, highlight=False)
