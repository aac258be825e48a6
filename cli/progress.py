"""Progress: a bar with rate and end time on a terminal, plain lines elsewhere."""

from __future__ import annotations

import contextlib
import threading
import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from asr_gate.corpus.text.plain import plain

FEW = 10
"""Utterances after which an end time means something."""
INTERVAL = 5.0
"""Seconds between two plain lines, whether anything is done or not."""


class AuditProgress:
    """Shows how far an audit, an evaluation or a transcription is, on standard error."""

    def __init__(
        self, doing: str = "aligning", done: str = "aligned", things: str = "utterances"
    ) -> None:
        self._verbs = doing, done
        self._things = things
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
        self._ended = threading.Event()
        self._lines = threading.Thread(target=self._repeat, daemon=True)

    def __enter__(self) -> AuditProgress:
        self._bar.start()
        if not self._console.is_terminal:
            self._lines.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()
        self._ended.set()
        if self._lines.is_alive():
            self._lines.join()

    def say(self, line: str) -> None:
        """A line for people."""
        self._print(plain(line))

    def start(self, total: int, done: int) -> None:
        """The audit has `total` utterances, of which `done` are there already."""
        self._total, self._done = total, done
        self._began = self._said = time.monotonic()
        self._bar.update(self._task, total=total, completed=done)
        if not self._console.is_terminal:
            kept = f", {done} kept from before" if done else ""
            self._print(f"{self._verbs[0]} {total} {self._things}{kept}")

    def advance(self, utterances: int, seconds: float) -> None:
        """So many more utterances and seconds of audio are measured."""
        self._done += utterances
        self._new += utterances
        self._seconds += seconds
        self._bar.update(self._task, completed=self._done, rate=self._rate())
        if not self._console.is_terminal and self._done == self._total:
            self._print(self._line())

    def _repeat(self) -> None:
        while not self._ended.wait(max(0.1, self._said + INTERVAL - time.monotonic())):
            if time.monotonic() - self._said >= INTERVAL:
                with contextlib.suppress(OSError):  # nobody reads
                    self._print(self._waiting())

    def _waiting(self) -> str:
        elapsed = time.monotonic() - self._began
        if not self._total:
            return f"preparing, {elapsed:.0f} s"
        if self._done >= self._total:
            return f"finishing, {elapsed:.0f} s"
        if not self._new:
            return f"{self._verbs[1]} {self._done}/{self._total}, {elapsed:.0f} s"
        if self._new < min(FEW, self._total / 4):  # the first ones wait for the model
            return self._line()
        left = (self._total - self._done) * elapsed / self._new
        return f"{self._line()}, {left:.0f} s left"

    def _line(self) -> str:
        return f"{self._verbs[1]} {self._done}/{self._total}, {self._rate()}"

    def _rate(self) -> str:
        return f"{self._seconds / max(time.monotonic() - self._began, 1e-6):.0f} x real time"

    def _print(self, line: str) -> None:
        self._said = time.monotonic()
        self._console.print(line, highlight=False, markup=False, soft_wrap=True)
