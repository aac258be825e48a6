"""Progress of a training: a bar on a terminal, plain lines elsewhere, nothing without a console."""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from asr_gate.corpus.utterance import Seconds


class Reporter(Protocol):
    """Shows progress to the user who waits."""

    def step(self, done: int, total: int, epoch: str, loss: float, audio: Seconds) -> None:
        """One step is done; it trained on `audio` seconds."""

    def note(self, text: str) -> None:
        """Print a line that stays."""

    def close(self) -> None:
        """The training is over."""


def reporter(console: Console | None, every: int) -> Reporter:
    """The reporter for a console; off a terminal it prints a line every `every` steps."""
    if console is None:
        return Silent()
    return Bar(console) if console.is_terminal else Lines(console, every)


class Silent:
    """Shows nothing."""

    def step(self, done: int, total: int, epoch: str, loss: float, audio: Seconds) -> None:
        """Nothing."""

    def note(self, text: str) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing."""


class _Pace:
    """Speed and expected end, by the time so far, evaluations included."""

    def __init__(self) -> None:
        self.begin = time.monotonic()
        self.audio = 0.0

    def after(self, done: int, total: int, audio: Seconds) -> str:
        self.audio += audio
        wall = max(time.monotonic() - self.begin, 1e-6)
        end = datetime.now() + timedelta(seconds=wall / done * (total - done))
        return f"{self.audio / wall:.0f}x real time, ends {end:%H:%M:%S}"


class Lines:
    """One line every few steps."""

    def __init__(self, console: Console, every: int) -> None:
        self.console = console
        self.every = every
        self.pace = _Pace()

    def step(self, done: int, total: int, epoch: str, loss: float, audio: Seconds) -> None:
        """Print on each `every`-th step and on the last."""
        pace = self.pace.after(done, total, audio)
        if done % self.every == 0 or done == total:
            self.note(f"step {done}/{total}, {epoch}, loss {loss:.3f}, {pace}")

    def note(self, text: str) -> None:
        """Print it."""
        self.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def close(self) -> None:
        """Nothing is open."""


class Bar:
    """A bar that is drawn anew with each step."""

    def __init__(self, console: Console) -> None:
        self.pace = _Pace()
        self.progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.completed:.0f}/{task.total:.0f} steps"),
            TextColumn("{task.fields[pace]}"),
            TimeElapsedColumn(),
            console=console,
        )
        self.task = self.progress.add_task("training", total=None, pace="", visible=False)
        self.progress.start()

    def step(self, done: int, total: int, epoch: str, loss: float, audio: Seconds) -> None:
        """Move the bar."""
        self.progress.update(
            self.task,
            completed=done,
            total=total,
            visible=True,
            description=f"{epoch}, loss {loss:.3f}",
            pace=self.pace.after(done, total, audio),
        )

    def note(self, text: str) -> None:
        """Print it above the bar."""
        self.progress.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def close(self) -> None:
        """Leave the bar as it is."""
        self.progress.stop()
