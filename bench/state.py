"""How long the training waits while the state for `--resume` is saved: before, and beside it.

    python -m bench.state [--megabytes 200] [--rounds 5]

Before, the training itself wrote one safetensors file. Now it copies the state, and a thread writes
it. Both write random parameters with AdamW's moments to the same disk. Writes the table of
docs/performance.md.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
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


def state(megabytes: int) -> dict[str, Tensor]:
    """A state of about this size: matrices of 1024 × 1024, with both moments of each."""
    layers = max(1, round(megabytes * 1e6 / (3 * 4 * WIDTH**2)))
    kinds = ("parameter", "exp_avg", "exp_avg_sq")
    return {
        f"{kind}/layers.{number}.weight": torch.randn(WIDTH, WIDTH)
        for number in range(layers)
        for kind in kinds
    }


def _in_the_training(folder: Path, tensors: dict[str, Tensor], flush: bool) -> tuple[float, float]:
    began = time.perf_counter()
    path = folder / "state.safetensors"
    save_file(tensors, path)
    if flush:
        with path.open("rb") as file:
            os.fsync(file.fileno())
    took = time.perf_counter() - began
    return took, took


def _beside_it(folder: Path, tensors: dict[str, Tensor]) -> tuple[float, float]:
    with StateWriter(folder, Ranks()) as writer:
        began = time.perf_counter()
        writer.save(Position(step=1), tensors)
        waited = time.perf_counter() - began
        writer.wait()
        return waited, time.perf_counter() - began


def main() -> None:
    """Measure, print, and put the table into the page."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--megabytes", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    tensors = state(options.megabytes)
    ways: dict[str, Callable[[Path], tuple[float, float]]] = {
        "by the training": lambda folder: _in_the_training(folder, tensors, False),
        "by the training, and flushed to the disk": lambda folder: _in_the_training(
            folder, tensors, True
        ),
        "beside the training, and flushed": lambda folder: _beside_it(folder, tensors),
    }
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for _ in range(options.rounds):
        for name, save in ways.items():
            with TemporaryDirectory() as folder:
                times[name].append(save(Path(folder)))
    lines = ["| written | training waits, s | complete after, s |", "|---|---:|---:|"]
    for name, found in times.items():
        waited, took = (median(column) for column in zip(*found, strict=True))
        lines.append(f"| {name} | {waited:.2f} | {took:.2f} |")
    size = sum(tensor.nbytes for tensor in tensors.values()) / 1e6
    lines += ["", f"A state of {size:.0f} MB; medians of {options.rounds} rounds."]
    print("\n".join(lines))
    replace_figures(PAGE, "state", "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
