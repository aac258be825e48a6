"""How long the training waits while the state for `--resume` is saved: before, and beside it.

    python -m bench.state [--megabytes 200] [--rounds 9]

Before, the training itself wrote one safetensors file. Now it copies the state, and a thread writes
it. Both write random parameters with AdamW's moments to the same disk. Writes the table of
docs/performance.md.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from safetensors.torch import save_file
from torch import Tensor

from asr_gate.train.distributed import Ranks
from asr_gate.train.loop.resume import Position
from asr_gate.train.loop.state import StateWriter
from bench.docs import replace_figures
from bench.train import PAGE

WIDTH = 1024

Times = tuple[float, float, float]
"""Seconds that the training waits, that its thread works meanwhile, and until all is on disk."""


def state(megabytes: int) -> dict[str, Tensor]:
    """A state of about this size: matrices of 1024 × 1024, with both moments of each."""
    layers = max(1, round(megabytes * 1e6 / (3 * 4 * WIDTH**2)))
    kinds = ("parameter", "exp_avg", "exp_avg_sq")
    return {
        f"{kind}/layers.{number}.weight": torch.randn(WIDTH, WIDTH)
        for number in range(layers)
        for kind in kinds
    }


class Clock:
    """Seconds since it was made: of the wall, and of the processor for this thread."""

    def __init__(self) -> None:
        self.wall, self.thread = time.perf_counter(), time.thread_time()

    def read(self) -> tuple[float, float]:
        return time.perf_counter() - self.wall, time.thread_time() - self.thread


def in_the_training(tensors: dict[str, Tensor], flush: bool, folder: Path) -> Times:
    """As it was: one file, written by the training; `flush` also waits for the disk."""
    clock, path = Clock(), folder / "state.safetensors"
    save_file(tensors, path)
    if flush:
        with path.open("rb") as file:
            os.fsync(file.fileno())
    waited, worked = clock.read()
    return waited, worked, waited


def beside_it(tensors: dict[str, Tensor], folder: Path) -> Times:
    """As it is; it is flushed too."""
    with StateWriter(folder, Ranks()) as writer:
        clock = Clock()
        writer.save(Position(step=1), tensors)
        waited, worked = clock.read()
        writer.wait()
        return waited, worked, clock.read()[0]


def main() -> None:
    """Measure, print, and put the table into the page."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--megabytes", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    torch.set_num_threads(1)
    tensors = state(options.megabytes)
    ways: dict[str, Callable[[Path], Times]] = {
        "by the training": partial(in_the_training, tensors, False),
        "by the training, and flushed to the disk": partial(in_the_training, tensors, True),
        "beside the training, and flushed": partial(beside_it, tensors),
    }
    times: dict[str, list[Times]] = {name: [] for name in ways}
    for _ in range(options.rounds):
        for name, save in ways.items():
            with TemporaryDirectory() as folder:
                times[name].append(save(Path(folder)))
    lines = [
        "| written | training waits, s | processor meanwhile, s | complete after, s |",
        "|---|---:|---:|---:|",
    ]
    for name, found in times.items():
        # The fastest: another program on the machine only ever adds.
        columns = " | ".join(f"{min(column):.2f}" for column in zip(*found, strict=True))
        lines.append(f"| {name} | {columns} |")
    size = sum(tensor.nbytes for tensor in tensors.values()) / 1e6
    lines += ["", f"A state of {size:.0f} MB; the fastest of {options.rounds} rounds, one thread."]
    print("\n".join(lines))
    replace_figures(PAGE, "state", "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
