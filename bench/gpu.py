"""How fast one GPU audits and trains, without any download: `make bench-gpu`.

    python -m bench.gpu [--minutes 8] [--tiny]

The models have random weights: a CTC model of 300 M parameters (that of the aligner `mms`), and
Qwen3-ASR 1.7B. Their input is noise of the lengths of speech. `--tiny` makes both small, so that a
CPU takes a minute or two. What does not fit into the time is left out, and each part is written as
soon as it is there, to docs/performance-gpu.md.
"""

from __future__ import annotations

import argparse
import platform
import random
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np
import torch
import transformers

from asr_gate.audit.acoustic.batching import emissions
from asr_gate.audit.acoustic.mms import MmsModel
from asr_gate.audit.align.lattice import align
from asr_gate.audit.align.problem import prepare
from asr_gate.train import recipes
from bench import gpu_steps
from bench.docs import replace_figures
from bench.gpu_counts import counts

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "performance-gpu.md"
RATE = 16_000


class Clock:
    """The time that is left."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    def left(self) -> float:
        """Seconds."""
        return self._end - time.monotonic()


def main() -> None:
    """Measure what fits into the time, and put it into the page."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--minutes", type=float, default=8.0, help="end after so many (8)")
    parser.add_argument("--tiny", action="store_true", help="small models, also on a CPU")
    arguments = parser.parse_args()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if device.type == "cpu" and not arguments.tiny:
        sys.exit("bench.gpu: no CUDA device here; on a CPU, add --tiny")
    clock = Clock(60 * arguments.minutes - 20)  # the last part may take a little longer
    _write("about", _about(device, arguments.tiny))
    parts: dict[str, Callable[[], list[str]]] = {
        "counts": counts,
        "tests": lambda: _tests(device, clock),
        "emissions": lambda: _emissions(device, arguments.tiny),
        "phase-b": lambda: _phase("B", device, arguments.tiny, clock),
        "phase-a": lambda: _phase("A", device, arguments.tiny, clock),
    }
    for name in parts:
        _write(name, ["Not measured: there was no time left."])
    for name, part in parts.items():
        if clock.left() > 0:
            _write(name, part())


def _write(name: str, lines: list[str]) -> None:
    text = "\n".join(lines) + "\n"
    print(text, flush=True)
    replace_figures(PAGE, name, text)


def _about(device: torch.device, tiny: bool) -> list[str]:
    machine = "a CPU"
    if device.type == "cuda":
        found = torch.cuda.get_device_properties(device)
        machine = f"{found.name}, {found.total_memory / 2**30:.0f} GiB, CUDA {torch.version.cuda}"
    said = [
        f"Measured on {machine}; Python {platform.python_version()}, torch {torch.__version__}, "
        f"transformers {transformers.__version__}."
    ]
    if device.type == "cpu":
        said.insert(0, "**No GPU has run this yet.** The figures below only show that it runs.")
    if tiny:
        said.append("The models are small (`--tiny`): the figures say nothing of the real ones.")
    return said


def _tests(device: torch.device, clock: Clock) -> list[str]:
    """The tests that need a GPU."""
    if device.type == "cpu":
        return ["Left out: they need a GPU."]
    command = [sys.executable, "-m", "pytest", "-q", "-m", "cuda", "-p", "no:cacheprovider"]
    folders = ["tests/train/test_cuda.py", "tests/audit/acoustic/test_cuda.py"]
    try:
        done = subprocess.run(
            [*command, *folders],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=max(1.0, min(150.0, clock.left())),
            check=False,
        )
    except subprocess.TimeoutExpired:
        return ["They did not finish within the time."]
    failed = re.findall(r"^(?:FAILED|ERROR) .*", done.stdout, re.M)
    return [
        (done.stdout.strip().splitlines() or ["no output"])[-1],
        *(f"- {one}" for one in failed),
    ]


def _emissions(device: torch.device, tiny: bool) -> list[str]:
    """Seconds of audio a second: one at a time, batched, and the alignment."""
    generator, noise = random.Random(1), np.random.default_rng(1)
    count = 12 if tiny else 256
    lengths = [generator.uniform(1.0, 8.0) for _ in range(count)]
    waves = [noise.normal(size=int(RATE * one)).astype(np.float32) for one in lengths]
    model = MmsModel("eng", device.type, network=gpu_steps.ctc_network(tiny))
    millions = sum(one.numel() for one in model._model.parameters()) / 1e6
    model.forward(waves[:1])
    audio = sum(lengths)
    # One by one takes long, and its speed is the same for a quarter of them.
    few = waves[: count // 4]
    began = time.perf_counter()
    for wave in few:
        model.forward([wave])
    one_by_one = sum(lengths[: count // 4]) / (time.perf_counter() - began)
    emissions(model, waves, 240.0)  # compiles what it needs, and finds memory
    began = time.perf_counter()
    found = emissions(model, waves, 240.0)
    batched = time.perf_counter() - began
    letters = "abcdefghijklmnopqrstuvwxyz"
    texts = [
        " ".join("".join(generator.choices(letters, k=5)) for _ in range(max(1, round(2 * one))))
        for one in lengths
    ]
    spelt = [model.spell(text, "en") for text in texts]
    align(prepare(found[0], model.info), spelt[0], model.info)
    began = time.perf_counter()
    for emission, transcript in zip(found, spelt, strict=True):
        align(prepare(emission, model.info), transcript, model.info)
    aligned = time.perf_counter() - began
    arithmetic = "float16" if device.type == "cuda" else "float32"
    return [
        f"A CTC model of {millions:,.1f} M parameters in {arithmetic}, {count} utterances of 1 to "
        "8 s.",
        "",
        "| | seconds of audio a second |",
        "|---|---:|",
        f"| emissions, one utterance at a time | {one_by_one:,.0f} |",
        f"| emissions, batches of 240 s | {audio / batched:,.0f} |",
        f"| alignment, on one core | {audio / aligned:,.0f} |",
        "",
        f"Batches are {audio / batched / one_by_one:.1f} times as fast. On one core the alignment "
        f"takes {aligned / (aligned + batched):.0%} of the time of both.",
    ]


def _phase(name: str, device: torch.device, tiny: bool, clock: Clock) -> list[str]:
    """Steps of one phase: the official way, and ours, a change at a time."""
    recipe = recipes.load("round2-tiny" if tiny else "round2", [])[1]
    setting = gpu_steps.Setting(
        recipe=recipe,
        phase=next(phase for phase in recipe.phases if phase.name == name),
        config=gpu_steps.model_config(tiny),
        batches=gpu_steps.batches(24.0 if tiny else 240.0, tiny),
        device=device,
    )
    rows = [len(batch["input_ids"]) for batch in setting.batches]
    audio = [float(batch["input_features_mask"].sum()) / 100 for batch in setting.batches]
    flops = gpu_steps.count_flops(setting)
    peak = gpu_steps.peak_of(device)
    lines = [
        f"Batches of {audio[0]:.0f} s in {rows[0]} rows, {flops / 1e12:,.1f} TFLOP a step.",
        "",
        "| | s a step | rows a second | audio s a second | of peak | memory, GiB |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    ways = [way for way in gpu_steps.WAYS if device.type == "cuda" or not way.gpu]
    for way in ways:
        # A model of this size and its first steps take about this long.
        if clock.left() < (3 if tiny else 25):
            lines.append(f"| {way.name} | no time left | | | | |")
            continue
        try:
            found = gpu_steps.measure(setting, way, seconds=min(10.0, clock.left()))
        except torch.OutOfMemoryError:
            lines.append(f"| {way.name} | out of memory | | | | |")
            continue
        share = "" if peak is None else f"{flops / median(found.seconds) / peak:.0%}"
        memory = "" if found.memory is None else f"{found.memory / 2**30:.1f}"
        each = median(found.seconds)
        lines.append(
            f"| {way.name} | {each:.3f} | {rows[0] / each:,.1f} | {audio[0] / each:,.0f} "
            f"| {share} | {memory} |"
        )
    return lines


if __name__ == "__main__":
    main()
