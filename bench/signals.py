"""What SIGTERM does to a training, however it was started and whatever it was doing.

    python -m bench.signals [--jobs 1] [--only WORDS]

Starts a small training for each way to start one (one process, two by `asr train --processes 2`,
two by torchrun), for each receiver of the signal (the process that was started, its whole process
group), without and with two workers that read, and sends SIGTERM in a step of training, in an
evaluation and while the state is saved. Writes the table of docs/training.md.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bench.docs import replace_figures

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "training.md"
ASR = (sys.executable, "-m", "bench.signals", "--as-asr")
TORCHRUN = (
    sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--rdzv-backend",
    "c10d", "--rdzv-endpoint", "localhost:0", "-m", "bench.signals", "--as-asr",
)  # fmt: skip
STARTS = {
    "one process": (ASR, ()),
    "`--processes 2`": (ASR, ("--processes", "2")),
    "torchrun, two processes": (TORCHRUN, ()),
}
"""Command, and what is added to its arguments."""
TRAINING = (
    "train", "round2-tiny", "--report", str(ROOT / "reports" / "example"), "--no-wandb", "--out",
    "run", "data.max_seconds=4", "data.batch_seconds=8", "evaluation.every_steps=3",
    "evaluation.max_new_tokens=4", "checkpoints.state_every_steps=3", "device=cpu",
    "model.tiny.audio_width=16", "model.tiny.text_width=32", "model.tiny.vocabulary=280",
)  # fmt: skip
LONGEST = 600.0
"""Seconds that a training may take until it has ended."""
LINGERING = 3.0
"""Seconds after which no process may be left."""


@dataclass(frozen=True)
class Cell:
    """One training, and when it gets the signal."""

    start: str
    receiver: str
    workers: int
    moment: str


@dataclass(frozen=True)
class Outcome:
    """How it ended."""

    code: int
    state: bool
    """Whether there is a state to resume from."""
    left: int
    """Processes that were still there."""
    said: str

    @property
    def good(self) -> bool:
        """Whether nothing was lost or left; torchrun decides its exit code itself."""
        return self.state and not self.left

    def __str__(self) -> str:
        lost = "" if self.state else ", **no state**"
        return f"{self.code}{lost}" + (f", **{self.left} left**" if self.left else "")


CELLS = [
    Cell(*of)
    for of in product(
        STARTS, ("process", "group"), (0, 2), ("training", "evaluation", "saving")
    )
]  # fmt: skip


def run(cell: Cell, folder: Path) -> Outcome:
    """Start the training of a cell in an empty folder, and send it SIGTERM at its moment."""
    command, more = STARTS[cell.start]
    marker = folder / "now"
    process = subprocess.Popen(
        [*command, cell.moment, str(marker), *TRAINING, f"data.workers={cell.workers}", *more],
        cwd=folder,
        env={
            **{name: value for name, value in os.environ.items() if name != "RANK"},
            "PYTHONPATH": str(ROOT),
            "OMP_NUM_THREADS": "1",
            "XDG_CACHE_HOME": str(folder / "cache"),
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    until = time.monotonic() + LONGEST
    while not marker.exists() and process.poll() is None and time.monotonic() < until:
        time.sleep(0.02)
    if process.poll() is None:
        if cell.receiver == "group":
            os.killpg(process.pid, signal.SIGTERM)
        else:
            process.send_signal(signal.SIGTERM)
    try:
        said, _ = process.communicate(timeout=LONGEST)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        said, _ = process.communicate()
        said += "\nit did not end"
    until = time.monotonic() + LINGERING
    while (left := list(processes_of(marker))) and time.monotonic() < until:
        time.sleep(0.1)
    state = any((folder / "run" / "resume").glob("step-*"))
    return Outcome(process.returncode, state, len(left), said)


def processes_of(marker: Path) -> Iterator[int]:
    """Every process whose command names this file."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if os.fsencode(marker) in path.read_bytes():
                yield int(path.parent.name)
        except OSError:
            continue


def as_asr(moment: str, marker: str, arguments: list[str]) -> None:
    """Be `asr`, slower at one moment, which a file tells."""
    from asr_gate.cli.main import main
    from asr_gate.train import launch

    sys.argv = ["asr", *arguments]
    if "--processes" in arguments and "RANK" not in os.environ:
        launch.COMMAND = (*ASR, moment, marker)
        main()
    import torch
    from transformers import Qwen3ASRForConditionalGeneration

    from asr_gate.train.observe.run_recorder import RunRecorder

    owner: Any
    owner, name, count = {
        "training": (torch.optim.AdamW, "step", 5),
        "evaluation": (Qwen3ASRForConditionalGeneration, "generate", 1),
        "saving": (RunRecorder, "saving", 1),
    }[moment]
    setattr(owner, name, slowed(getattr(owner, name), Path(marker), count))
    main()


def slowed(real: Callable[..., Any], marker: Path, count: int) -> Callable[..., Any]:
    """A function that at its n-th call writes the file, and then takes half a second longer."""
    calls = 0

    def slow(*arguments: Any, **named: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == count:
            marker.touch()
            time.sleep(0.5)
        return real(*arguments, **named)

    return slow


def table(outcomes: dict[Cell, Outcome]) -> str:
    """The exit codes, a row for each way and a column for each moment, and the counts."""
    moments = dict.fromkeys(cell.moment for cell in CELLS)
    lines = [
        f"| started as | SIGTERM to | workers | {' | '.join(f'in {one}' for one in moments)} |",
        f"|---|---|--:|{'--:|' * len(moments)}",
    ]
    for start, receiver, workers in dict.fromkeys((c.start, c.receiver, c.workers) for c in CELLS):
        found = [outcomes.get(Cell(start, receiver, workers, one)) for one in moments]
        if any(found):
            shown = " | ".join("" if one is None else str(one) for one in found)
            lines.append(f"| {start} | the {receiver} | {workers} | {shown} |")
    ours = [one.code for cell, one in outcomes.items() if "torchrun" not in cell.start]
    good = sum(one.good for one in outcomes.values())
    lines += [
        "",
        f"{good} of {len(outcomes)} trainings left a state on disk and no process behind; "
        f"{ours.count(0)} of the {len(ours)} that torchrun did not start ended with exit code 0.",
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Run the cells, print what went wrong, and write the table."""
    if sys.argv[1:2] == ["--as-asr"]:
        moment, marker, *arguments = sys.argv[2:]
        as_asr(moment, marker, arguments)
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=1, help="Trainings at a time.")
    parser.add_argument("--only", default="", help="Cells that have all these words.")
    options = parser.parse_args()
    words = options.only.split()
    chosen = [cell for cell in CELLS if all(word in str(cell) for word in words)]
    outcomes: dict[Cell, Outcome] = {}

    def measure(cell: Cell) -> None:
        with TemporaryDirectory(prefix="signals-") as folder:
            outcomes[cell] = run(cell, Path(folder))
        print(cell, outcomes[cell], flush=True)
        if not outcomes[cell].good:
            print(outcomes[cell].said, flush=True)

    with ThreadPoolExecutor(options.jobs) as pool:
        list(pool.map(measure, reversed(chosen)))  # those with several processes first
    if not words:
        replace_figures(PAGE, "signals", table(outcomes))
    print(table(outcomes))


if __name__ == "__main__":
    main()
