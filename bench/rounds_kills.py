"""Does a demo that is killed again and again end with the same promotion?

    python -m bench.rounds_kills [--reference FOLDER] [--kills 10]

FOLDER holds an `asr rounds demo` that ended and was never killed; without it one is run first. A
second demo runs in another folder. It is killed (SIGKILL) at moments that were drawn over the steps
of the first one, each step by the time that it took, and started again after each kill. So all
kills fall into one run, which costs what a demo costs and what the kills destroy. The table says in
which step each kill fell; below it, whether events and weights are the same as in the first demo.
It goes into docs/rounds.md.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from asr_gate.rounds.loop.state import ROUND_FILE, Round, Step, StepName, read_rounds
from asr_gate.rounds.registry.events import Registry
from bench.docs import replace_figures

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "rounds.md"
POLL = 0.2
"""Seconds between two looks at what the demo does."""


@dataclass(frozen=True)
class Moment:
    """When to kill."""

    round: int
    step: StepName
    after: float
    """Seconds after the step was begun."""


def draw(found: Sequence[Round], kills: int, seed: int = 0) -> list[Moment]:
    """Moments over the steps that these rounds made, the first one first."""
    spans = [
        (one.number, name, step.seconds)
        for one in found
        for name, step in one.steps.items()
        if step.seconds
    ]
    chance = random.Random(seed)
    moments = []
    for at in sorted(chance.uniform(0, sum(span[2] for span in spans)) for _ in range(kills)):
        before = 0.0
        for number, name, seconds in spans:
            if at < before + seconds:
                moments.append(Moment(number, name, at - before))
                break
            before += seconds
    return moments


def start(folder: Path) -> subprocess.Popen[bytes]:
    """The demo, in a process group of its own."""
    return subprocess.Popen(
        [str(Path(sys.executable).parent / "asr"), "rounds", "demo", str(folder)],
        env=os.environ | {"WANDB_DISABLED": "true"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        process_group=0,
    )


def rounds(folder: Path) -> list[Round]:
    """So far."""
    if not folder.exists():
        return []
    with contextlib.chdir(folder):
        return read_rounds()


def _step(found: Sequence[Round], moment: Moment) -> Step | None:
    return next((one.steps.get(moment.step) for one in found if one.number == moment.round), None)


def wait(process: subprocess.Popen[bytes], folder: Path, moment: Moment) -> None:
    """Return at the moment, or once the step is over, or if the demo has ended."""
    started = time.time()
    begun: float | None = None
    while process.poll() is None:
        found = rounds(folder)
        step = _step(found, moment)
        if step is not None and step.status != "begun":
            return
        file = folder / "rounds" / f"round-{moment.round}" / ROUND_FILE
        if step is not None and begun is None and file.stat().st_mtime >= started:
            begun = time.monotonic()
        if begun is not None and time.monotonic() - begun >= moment.after:
            return
        time.sleep(POLL)


def where(folder: Path) -> str:
    """The step that is at work."""
    found = rounds(folder)
    if not found:
        return "before the first step"
    steps = found[-1].steps
    at = next((name for name, step in steps.items() if step.status == "begun"), "between steps")
    return f"round {found[-1].number}, {at}"


def kill(process: subprocess.Popen[bytes]) -> bool:
    """Kill it at once; False: it had ended by itself.

    Raises:
        SystemExit: it had ended with an error.
    """
    alive = process.poll() is None
    if process.returncode not in (None, 0, 20):
        sys.exit(f"the demo ended by itself with exit code {process.returncode}")
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    return alive


def end(folder: Path) -> tuple[list[str], list[tuple[str, str, str]]]:
    """Outcomes of the rounds; kind, reason and weights of every event of the registry."""
    with contextlib.chdir(folder):
        outcomes = [one.outcome for one in read_rounds()]
        return outcomes, [(one.kind, one.why, one.model.sha256) for one in Registry().events()]


def main() -> None:
    """Run, kill, compare, print, and put the table into the page."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--reference", type=Path, help="folder of a demo that was never killed")
    parser.add_argument("--kills", type=int, default=10)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        reference: Path = given.reference or Path(place) / "whole"
        if given.reference is None:
            start(reference).wait()
        folder = Path(place) / "killed"
        lines = ["| kill | in | after |", "|---:|---|---:|"]
        for number, moment in enumerate(draw(rounds(reference), given.kills), start=1):
            process = start(folder)
            began = time.monotonic()
            wait(process, folder, moment)
            at = where(folder)
            if not kill(process):
                at = "after the last step"
            lines.append(f"| {number} | {at} | {time.monotonic() - began:.0f} s |")
            print(lines[-1], flush=True)
        start(folder).wait()
        ours, theirs = end(folder), end(reference)
    # After its demo bench.rounds takes one promotion back and makes it again: those come last.
    count = theirs[0].count("promoted")
    same = ours == (theirs[0], theirs[1][:count])
    verdict = "the same outcomes, promotions and weights" if same else "NOT the same"
    told = f"It ended with {', '.join(ours[0])}: {verdict} as without a kill."
    print(told)
    replace_figures(PAGE, "kills", "\n".join([*lines, "", told]) + "\n")
    sys.exit(0 if same else 1)


if __name__ == "__main__":
    main()
