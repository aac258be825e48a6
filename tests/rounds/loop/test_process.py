"""A step is a process: what it says, what it is told, and that it ends with the loop."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from asr_gate.rounds.loop.process import run_step

RUN = "import sys; from asr_gate.rounds.loop.process import run_step; from pathlib import Path; "


def test_the_log_holds_what_it_prints_and_the_reason_is_told(tmp_path: Path) -> None:
    script = "import sys; print('one'); print('asr: no such file', file=sys.stderr); sys.exit(20)"
    lines: list[str] = []
    log = tmp_path / "log"
    assert run_step([sys.executable, "-c", script], log, lines.append) == (20, "no such file")
    assert sorted(log.read_text().splitlines()) == sorted(lines) == ["asr: no such file", "one"]


def test_ctrl_c_reaches_it_once(tmp_path: Path) -> None:
    script = (
        "import os, signal, sys, time\n"
        "def end(*_): print('ended well'); sys.exit(130)\n"
        "signal.signal(signal.SIGINT, end)\n"
        "os.kill(os.getppid(), signal.SIGINT)\n"
        "time.sleep(60)\n"
    )
    with pytest.raises(KeyboardInterrupt):
        run_step([sys.executable, "-c", script], tmp_path / "log", lambda line: None)
    assert (tmp_path / "log").read_text() == "ended well\n"


def test_it_does_not_outlive_a_loop_that_is_killed(tmp_path: Path) -> None:
    script = "import os, time; print(os.getpid(), flush=True); time.sleep(60)"
    code = f"{RUN}run_step([sys.executable, '-c', {script!r}], Path('log'), print)"
    loop = subprocess.Popen([sys.executable, "-c", code], cwd=tmp_path, stdout=subprocess.DEVNULL)
    log = tmp_path / "log"
    until = time.monotonic() + 60
    while not (log.exists() and log.read_text().endswith("\n")) and time.monotonic() < until:
        time.sleep(0.05)
    step = int(log.read_text())
    loop.send_signal(signal.SIGKILL)
    loop.wait()
    while time.monotonic() < until:
        try:
            os.kill(step, 0)
        except ProcessLookupError:
            return
        time.sleep(0.05)
    pytest.fail("the step is still there")
