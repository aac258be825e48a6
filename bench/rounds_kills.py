"""Does a demo that is killed again and again end with the same promotion?

    python -m bench.rounds_kills [--reference FOLDER] [--kills 10] [--rounds 3]

`asr rounds demo` is run once to its end (or FOLDER holds one that was), and once more in another
folder, where it is killed (SIGKILL, at moments drawn over the time that it took) and started again.
The table says in which step each kill fell; below it, whether events and weights are the same. It
goes into docs/rounds.md.
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
from pathlib import Path

from asr_gate.rounds.loop.state import Round, read_rounds
from asr_gate.rounds.registry.events import Registry
from bench.docs import replace_figures

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "rounds.md"


def start(folder: Path) -> subprocess.Popen[bytes]:
    """The demo, in a process group of its own."""
    environment = os.environ | {"WANDB_DISABLED": "true"}
    asr = str(Path(sys.executable).parent / "asr")
    return subprocess.Popen(
        [asr, "rounds", "demo", str(folder)],
        env=environment,
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


def where(folder: Path) -> str:
    """The step that is at work."""
    found = rounds(folder)
    if not found:
        return "before the first step"
    steps = found[-1].steps
    at = next((name for name, step in steps.items() if step.status == "begun"), "between steps")
    return f"round {found[-1].number}, {at}"


def promotions(folder: Path, count: int) -> list[tuple[str, str, str]]:
    """Kind, reason and digest of the weights of every event of the first rounds."""
    with contextlib.chdir(folder):
        events = Registry().events()
    return [(str(one.kind), one.why, one.model.sha256) for one in events][:count]


def closed(folder: Path) -> int:
    """How many rounds have ended."""
    return sum(one.closed for one in rounds(folder))


def run(folder: Path, count: int) -> float:
    """Run it until so many rounds have ended; seconds that it took."""
    began = time.monotonic()
    process = start(folder)
    while process.poll() is None and closed(folder) < count:
        time.sleep(0.5)
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(signal.SIGTERM)
    process.wait()
    return time.monotonic() - began


def main() -> None:
    """Run, kill, compare, print, and put the table into the page."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--reference", type=Path, help="folder of a demo that was never killed")
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=3, help="of the three, the first so many")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        reference = given.reference or Path(place) / "whole"
        if given.reference is None:
            run(reference, given.rounds)
        took = sum(
            step.seconds for one in rounds(reference)[: given.rounds] for step in one.steps.values()
        )
        draw = random.Random(0)
        folder = Path(place) / "killed"
        lines = ["| kill | after | in |", "|---:|---:|---|"]
        for number in range(1, given.kills + 1):
            process = start(folder)
            # Twice the even share: a kill loses what was begun, and the next start repeats it.
            wait = draw.uniform(0, 2 * took / given.kills)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(wait)
            if process.poll() not in (None, 0, 20):
                sys.exit(f"the demo ended by itself with exit code {process.returncode}")
            at = where(folder)
            if closed(folder) >= given.rounds:
                at = "after the last step"
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            lines.append(f"| {number} | {wait:.0f} s | {at} |")
            print(lines[-1], flush=True)
        run(folder, given.rounds)
        count = sum(one.promoted for one in rounds(reference)[: given.rounds])
        ours, theirs = promotions(folder, count), promotions(reference, count)
        outcomes = [one.outcome for one in rounds(folder)[: given.rounds]]
    same = [one[:2] for one in ours] == [one[:2] for one in theirs]
    verdict = "the same" if same else "NOT the same"
    weights = "the same" if ours == theirs else "other"
    end = (
        f"It ended with {', '.join(outcomes)}: {verdict} promotions, with {weights} weights as "
        "without a kill."
    )
    print(end)
    replace_figures(PAGE, "kills", "\n".join([*lines, "", end]) + "\n")


if __name__ == "__main__":
    main()
