"""One trial: a training started as a user starts it, watched through its `run.json`."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from asr_gate.corpus.errors import UserError
from asr_gate.corpus.files import RECORD_LIMIT
from asr_gate.corpus.strict import read_json
from asr_gate.train.launch import COMMAND
from asr_gate.train.record import CHECKPOINT_NAME, RUN_FILE
from asr_gate.train.signals import die_with_parent

RUN = "run"
"""Folder of the training in that of its trial."""
LOG = "log.txt"
"""What it printed."""
POLL = 0.2
"""Seconds between two looks at a training."""

REFUSED = (10, 20, 30)
"""Exit codes of the gate."""


class _Read(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class _Rates(_Read):
    loss: float
    wer: float
    cer: float


class _Evaluated(_Read):
    evaluation: _Rates | None


class _Phase0(_Read):
    digest: str


class _Plan(_Read):
    evaluation: list[str]


class _Progress(_Read):
    seconds: float = 0.0


class Watched(_Read):
    """What a sweep reads of `run.json`, while the training writes it."""

    status: str
    reason: str | None = None
    unfit: bool = False
    phase0: _Phase0
    plan: _Plan
    evaluations: list[_Evaluated] = Field(default_factory=list)
    progress: _Progress = _Progress()
    """Time of all its starts."""

    @property
    def failed(self) -> bool:
        """Whether it failed by its recipe, so that it would fail again."""
        return self.status == "failed" and self.unfit

    def values(self, metric: str) -> list[float]:
        """The metric of each evaluation that could read a row."""
        name = metric.removeprefix("eval/")
        rates = (one.evaluation for one in self.evaluations)
        return [float(getattr(one, name)) for one in rates if one is not None]


def watch(folder: Path) -> Watched | None:
    """The record of the training in a trial's folder; None: it has written none yet."""
    try:
        return Watched.model_validate(read_json(folder / RUN / RUN_FILE, RECORD_LIMIT))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, ValidationError) as error:
        raise UserError(f"{folder / RUN / RUN_FILE}: not the record of a run") from error


def train(
    arguments: Sequence[str],
    folder: Path,
    *,
    lock: int,
    seen: Callable[[Watched], bool],
    asr: Sequence[str] = COMMAND,
) -> tuple[Watched | None, int]:
    """Train in the folder of a trial, or go on with what was begun there, and wait for the end.

    Args:
        arguments: of `asr`, without `--out` and `--resume`.
        folder: of the trial.
        lock: descriptor that holds the folder, for the training to hold as well.
        seen: is told what the record says whenever it changed; whether to stop the training.
        asr: the command.

    Returns:
        The record, None if there is none, and the exit code.
    """
    out = folder / RUN
    found = watch(folder)
    if found is not None and (found.status == "finished" or found.failed):
        return found, int(found.failed)
    if found is None:
        shutil.rmtree(out, ignore_errors=True)  # killed before there was anything to resume
    command = [*asr, *arguments, "--out", str(out), *(["--resume"] if found else [])]
    with (folder / LOG).open("ab") as log:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            process_group=0,  # a terminal's Ctrl-C is for the sweep, which stops the training
            pass_fds=(lock,),
            preexec_fn=partial(die_with_parent, signal.SIGTERM),
        )
    try:
        return _wait(process, folder, seen)
    except BaseException:
        # SIGTERM lets a training save its state; whoever takes up the trial goes on from there.
        process.terminate()
        process.wait()
        raise


def _wait(
    process: subprocess.Popen[bytes], folder: Path, seen: Callable[[Watched], bool]
) -> tuple[Watched | None, int]:
    record, changed, stopping = folder / RUN / RUN_FILE, 0, False
    while True:
        code = process.poll()
        at = os.stat(record).st_mtime_ns if record.exists() else 0  # noqa: PTH116
        if at != changed:
            changed = at
            found = watch(folder)
            if found is not None and seen(found) and not stopping and code is None:
                stopping = True
                process.terminate()
        if code is not None:
            return watch(folder), code
        time.sleep(POLL)


def passes(arguments: Sequence[str], asr: Sequence[str]) -> bool:
    """Whether a training could begin now: what `asr train --dry-run` finds."""
    command = [*asr, *arguments, "--dry-run"]
    return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True).returncode == 0


def last_line(folder: Path) -> str:
    """The last line that a training printed."""
    with (folder / LOG).open("rb") as file:
        file.seek(max(0, os.fstat(file.fileno()).st_size - 4096))
        lines = file.read().decode(errors="replace").split("\n")
    last = next((line.strip() for line in reversed(lines) if line.strip()), "it printed nothing")
    return last.removeprefix("asr: ")


def drop_weights(folder: Path) -> None:
    """Delete the models of a trial that is not among the best; its record and log stay."""
    for path in sorted((folder / RUN).glob("*")):
        if path.is_symlink():
            path.unlink()
        elif re.fullmatch(rf"final|state.*|{CHECKPOINT_NAME}", path.name):
            shutil.rmtree(path, ignore_errors=True)
