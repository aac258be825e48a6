"""One step: a command started as a user starts it, which ends when the loop does."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from asr_gate.corpus.errors import UserError
from asr_gate.train.signals import PR_SET_PDEATHSIG

REFUSED = (10, 20, 30)
"""Exit codes of the gates."""
_LIBC = ctypes.CDLL(None)
"""Loaded before the fork, after which nothing may be imported."""


class StepFailed(UserError):
    """A step ended badly, and not because a gate refused; the next start repeats it."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def run_step(command: Sequence[str], log: Path, tell: Callable[[str], None]) -> tuple[int, str]:
    """Run a command in this folder, and pass Ctrl-C and SIGTERM on to it.

    If this process is killed, so is the command: what it has kept on disk is resumed from.

    Args:
        command: program and arguments; no shell sees them.
        log: what it prints is added to this file.
        tell: is told each line.

    Returns:
        The exit code, and the last line that says why a command ended (`asr: …`), without that.
    """
    said = ""
    with log.open("ab") as file:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=os.environ | {"PYTHONUNBUFFERED": "1"},
            process_group=0,  # what a terminal sends is passed on once
            preexec_fn=_die_with_parent,
        )
        assert process.stdout is not None
        with _passed_on(process):
            for line in process.stdout:
                file.write(line)
                file.flush()
                text = line.decode(errors="replace").strip()
                if text.startswith("asr: ") and not text.startswith("asr: warning: "):
                    said = text.removeprefix("asr: ")
                if text:
                    tell(text)
            code = process.wait()
    return (code if code >= 0 else 128 - code), said


def _die_with_parent() -> None:
    _LIBC.prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL))


@contextmanager
def _passed_on(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """The first SIGINT and SIGTERM go to the command, which then ends as it does for a user."""
    asked: set[int] = set()

    def forward(signum: int, frame: FrameType | None) -> None:
        if signum not in asked:
            process.send_signal(signum)
        asked.add(signum)

    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number, handler in before.items():
        if handler is not signal.SIG_IGN:  # as `nohup` and `&` in a script ask for
            signal.signal(number, forward)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if asked:
        raise KeyboardInterrupt
