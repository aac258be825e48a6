"""The command itself, as a user runs it."""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any
from unittest import mock

from asr_gate.cli.main import main

ASR = [str(Path(sys.executable).parent / "asr")]


def asr(*arguments: object, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run `asr` to its end; the environment is the test's with what is given here."""
    return subprocess.run(
        [*ASR, *map(str, arguments)],
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=280,
    )


def asr_here(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run `asr` to its end in this process, which has loaded all that is slow to load."""
    command = ["asr", *map(str, arguments)]
    out, err = io.StringIO(), io.StringIO()
    code: object = None
    handler = signal.getsignal(signal.SIGTERM)
    try:
        with (
            contextlib.chdir(cwd),
            mock.patch.object(sys, "argv", command),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
        ):
            main()
    except SystemExit as end:
        code = end.code
    finally:
        signal.signal(signal.SIGTERM, handler)
    assert isinstance(code, int)
    return subprocess.CompletedProcess(command, code, out.getvalue(), err.getvalue())


STARTED = """
import time
from asr_gate.audit.engine import ledger, measure
from asr_gate.cli.main import main

real = measure.align

def align(*arguments):
    time.sleep(0.2)
    return real(*arguments)

measure.align = align
ledger.KEEP_EVERY = 0
main()
"""


def start(*arguments: object, cwd: Path) -> subprocess.Popen[str]:
    """Start `asr`, whose audits keep each measurement at once and leave time to be ended."""
    return subprocess.Popen(
        [sys.executable, "-c", STARTED, *map(str, arguments)],
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        text=True,
    )


def report_in(folder: Path) -> dict[str, Any]:
    """The report of one audit as plain data."""
    content = json.loads((folder / "alignment_report.json").read_text(encoding="utf-8"))
    assert isinstance(content, dict)
    return content


def one_line(result: subprocess.CompletedProcess[str]) -> str:
    """The error of a run that failed as a user's mistake should: one line, no traceback."""
    lines = [line for line in result.stderr.splitlines() if line.startswith("asr: ")]
    assert len(lines) == 1, result.stderr
    assert "Traceback" not in result.stderr
    return lines[0]


def asr_without(
    modules: set[str], *arguments: object, cwd: Path
) -> subprocess.CompletedProcess[str]:
    """Run `asr`; the exit code is its own, or 1 with a line if it loaded any of the modules."""
    script = (
        "import sys\n"
        "from asr_gate.cli.main import main\n"
        "try: main()\n"
        "except SystemExit as end: code = end.code\n"
        f"loaded = {modules!r} & set(sys.modules)\n"
        "sys.exit(f'loaded {loaded}' if loaded else code)\n"
    )
    return subprocess.run(
        [sys.executable, "-c", script, *map(str, arguments)],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=60,
    )
