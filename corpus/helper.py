"""A helper process that may crash, hang or ask for memory without end, and harms nobody by it.

Requests and answers are a line of JSON and raw bytes, never pickles.
"""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import threading
from typing import Any

from asr_gate.corpus.utterance import Seconds

LAST: Seconds = 1.0
"""How long a process may take to end that has closed its output."""
_START = "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "


def command(run: str) -> list[str]:
    """What starts Python statements in a process that finds the modules that this one finds."""
    return [sys.executable, "-I", "-c", _START + run, json.dumps(sys.path)]


class HelperEnded(Exception):
    """The process gave no answer; the message says why, and the next request starts another."""

    def __init__(self, message: str, *, killed: bool) -> None:
        super().__init__(message)
        self.killed = killed
        """Whether somebody else killed it, as the system does that is short of memory."""


def _ended(process: subprocess.Popen[bytes]) -> int | None:
    """The exit code of a process that closed its output; None: it goes on."""
    try:
        return process.wait(LAST)
    except subprocess.TimeoutExpired:
        return None


class Helper:
    """A process that answers one request after the other. It is started when it is needed."""

    def __init__(self, name: str, run: str, patience: Seconds) -> None:
        """Prepare.

        Args:
            name: what it is, for messages.
            run: Python statements that answer requests on standard input until it is closed.
            patience: the longest that one answer may take.
        """
        self._name = name
        self._run = run
        self._patience = patience
        self._process: subprocess.Popen[bytes] | None = None

    def ask(self, request: dict[str, Any], payload: bytes) -> tuple[dict[str, Any], bytes]:
        """What the process answers: `bytes` of its answer is the length of what comes with it.

        Raises:
            HelperEnded: it ended, or took too long and was ended.
        """
        process = self._process or self._begin()
        assert process.stdin is not None and process.stdout is not None
        late = threading.Event()

        def give_up() -> None:
            late.set()
            process.kill()

        timer = threading.Timer(self._patience, give_up)
        timer.daemon = True
        timer.start()
        try:
            process.stdin.write(json.dumps(request).encode() + b"\n" + payload)
            process.stdin.flush()
            answer = process.stdout.readline()
            found = json.loads(answer) if answer.endswith(b"\n") else None
            content = b"" if found is None else process.stdout.read(found.get("bytes", 0))
        except BrokenPipeError:
            found, content = None, b""
        finally:
            timer.cancel()
        if found is None or len(content) < found.get("bytes", 0):
            code = None if late.is_set() else _ended(process)
            self.stop()
            if late.is_set():
                raise HelperEnded(f"it took over {self._patience:.0f} s", killed=False)
            raise HelperEnded(f"it ended {self._name}", killed=code == -signal.SIGKILL)
        return found, content

    def stop(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            for stream in (self._process.stdin, self._process.stdout):
                with contextlib.suppress(OSError):  # what was asked last was never read
                    if stream is not None:
                        stream.close()
            self._process = None

    def _begin(self) -> subprocess.Popen[bytes]:
        self._process = subprocess.Popen(
            command(self._run),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            # Ctrl-C is for the audit, which ends this process by closing its input.
            start_new_session=True,
        )
        return self._process
