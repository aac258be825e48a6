"""How fast a processor computes emissions: plain loops, ours, and the arithmetic alone.

    python -m bench.emissions [--seconds 295] [--rounds 3]

Networks of published shapes with random weights read real speech (`../shared/speech` if it is
there, else the bundled corpus). The plain loops call transformers and torchaudio once for each
recording. All take turns in each round; the table has the median of the rounds. The floor is the
counted operations at the speed of a large matrix product on one thread, by torch or numpy,
whichever is faster, measured right after. Ratios of processor time are to the plain loop on one
thread, since ours has one in each worker; they depend less than wall time on what else runs. Writes
docs/performance.md.
"""

from __future__ import annotations

import argparse
import copy
import json
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
import torchaudio
import transformers
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from asr_gate.audit.acoustic.batching import emissions
from asr_gate.audit.acoustic.huggingface import HuggingFaceModel
from asr_gate.audit.acoustic.interface import AcousticModel, Emission, Precision, Waveform
from asr_gate.audit.acoustic.mms import MmsModel
from asr_gate.corpus.cores import usable_cores
from asr_gate.corpus.read import read_corpus
from asr_gate.corpus.speech.audio import load
from asr_gate.networks.processor import prefer_numpy
from bench.docs import replace_figures
from bench.needed import SHARED
from bench.train import PAGE

ROOT = Path(__file__).parents[1]
RATE = 16_000
DEFAULT_BATCH = 60.0
"""Of `asr audit`, in seconds."""
LARGE: dict[str, Any] = {
    "hidden_size": 1024,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "intermediate_size": 4096,
    "feat_extract_norm": "layer",
    "do_stable_layer_norm": True,
    "conv_bias": True,
}
"""wav2vec2-xls-r-300m and mms-300m, as their configurations are published."""

Loop = Callable[[], list[Emission]]


def speech(seconds: float) -> list[Waveform]:
    """Recordings of 2 to 30 s that make about so many seconds, mixed in length."""
    path = SHARED / "speech" / "manifest.jsonl"
    manifest = path if path.is_file() else ROOT / "audit" / "example" / "proceed.jsonl"
    rows = read_corpus([manifest]).utterances
    sounds: list[Waveform] = []
    left = seconds
    for row in sorted(rows, key=lambda one: hash_of(one.id)):
        sound = load(row, RATE).samples
        if 2 * RATE <= len(sound) <= 30 * RATE and len(sound) <= left * RATE:
            sounds.append(sound)
            left -= len(sound) / RATE
    return sounds


def hash_of(name: str) -> str:
    """An order that has nothing to do with length, the same in every run."""
    return name[::-1]


def plain_transformers(model: Any, sounds: Sequence[Waveform]) -> list[Emission]:
    """One recording at a time, as the library's documentation does it."""
    found = []
    with torch.inference_mode():
        for sound in sounds:
            wave = torch.from_numpy((sound - sound.mean()) / np.sqrt(sound.var() + 1e-7))
            found.append(model(input_values=wave[None]).logits[0].log_softmax(-1).numpy())
    return found


def plain_torchaudio(model: Any, sounds: Sequence[Waveform]) -> list[Emission]:
    """The same with torchaudio."""
    found = []
    with torch.inference_mode():
        for sound in sounds:
            wave = torch.from_numpy(sound)
            logits, _ = model(F.layer_norm(wave, wave.shape)[None])
            found.append(logits[0].log_softmax(-1).numpy())
    return found


def on_threads(count: int, run: Loop) -> Loop:
    """A loop for which torch takes so many threads."""

    def loop() -> list[Emission]:
        torch.set_num_threads(count)
        try:
            return run()
        finally:
            torch.set_num_threads(1)

    return loop


def ours(model: AcousticModel, sounds: Sequence[Waveform], batch: float) -> Loop:
    """What an audit does."""
    return lambda: emissions(model, sounds, batch)


def written(config: Any, folder: Path) -> Path:
    """A random model of the transformers library with vocabulary and feature extractor."""
    torch.manual_seed(1)
    model = transformers.AutoModelForCTC.from_config(config)
    letters = ["<pad>", "<s>", "</s>", "<unk>", "|", *"abcdefghijklmnopqrstuvwxyz'"]
    (folder / "vocab.json").write_text(json.dumps({one: i for i, one in enumerate(letters)}))
    transformers.Wav2Vec2CTCTokenizer(str(folder / "vocab.json")).save_pretrained(folder)
    transformers.Wav2Vec2FeatureExtractor().save_pretrained(folder)
    model.save_pretrained(folder)
    return folder


def operations(model: torch.nn.Module) -> float:
    """Operations of matrix products, convolutions and attention for a second of sound."""
    counter = FlopCounterMode(display=False)
    # The fused attention of a CPU is not counted; as plain products it is.
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), counter:
        model(torch.zeros(1, 10 * RATE))
    return float(counter.get_total_flops()) / 10


def product_speed() -> dict[str, float]:
    """Operations a second of processor time, one thread, of 500 frames and a layer's weights."""
    values, weights = torch.randn(500, 1024), torch.randn(4096, 1024)
    left, right = values.numpy(), weights.numpy().T
    ways: dict[str, Callable[[], object]] = {
        "torch": lambda: F.linear(values, weights),
        "numpy": lambda: np.matmul(left, right),
    }
    speeds = dict.fromkeys(ways, 0.0)
    for _ in range(10):
        for name, way in ways.items():
            start = time.process_time()
            for _ in range(3):
                way()
            taken = time.process_time() - start
            speeds[name] = max(speeds[name], 3 * 2 * 500 * 1024 * 4096 / taken)
    return speeds


@dataclass
class Taken:
    """What a contender took in each round, in seconds, and what it found."""

    processor: list[float] = field(default_factory=list)
    wall: list[float] = field(default_factory=list)
    found: list[Emission] = field(default_factory=list)


def measure(loops: dict[str, Loop], rounds: int) -> dict[str, Taken]:
    """Run all of them in turns."""
    taken = {name: Taken() for name in loops}
    for turn in range(rounds):
        # Each round in the other direction: whatever drifts is shared.
        for name in list(loops)[:: 1 if turn % 2 == 0 else -1]:
            processor, wall = time.process_time(), time.perf_counter()
            taken[name].found = loops[name]()
            taken[name].processor.append(time.process_time() - processor)
            taken[name].wall.append(time.perf_counter() - wall)
            one = taken[name]
            print(
                f"{name}: processor {one.processor[-1]:.1f} s, wall {one.wall[-1]:.1f} s",
                flush=True,
            )
    return taken


def transformers_loops(
    config: Any, sounds: list[Waveform], precisions: Sequence[Precision]
) -> tuple[dict[str, Loop], float]:
    """The contenders for a transformers model, and its operations for a second of sound."""
    with TemporaryDirectory() as temporary:
        folder = written(config, Path(temporary))
        plain = transformers.AutoModelForCTC.from_pretrained(folder).eval()
        models = {
            precision: HuggingFaceModel(str(folder), None, "cpu", precision)
            for precision in precisions
        }
    return _loops(lambda: plain_transformers(plain, sounds), models, sounds), operations(plain)


def torchaudio_loops(
    sounds: list[Waveform], precisions: Sequence[Precision]
) -> tuple[dict[str, Loop], float]:
    """The same for MMS_FA of torchaudio."""
    torch.manual_seed(1)
    plain = torchaudio.models.wav2vec2_model(**torchaudio.pipelines.MMS_FA._params).eval()
    models = {one: MmsModel("eng", "cpu", copy.deepcopy(plain), one) for one in precisions}
    return _loops(lambda: plain_torchaudio(plain, sounds), models, sounds), operations(plain)


def _loops(plain: Loop, models: dict[Precision, Any], sounds: list[Waveform]) -> dict[str, Loop]:
    loops = {
        "plain loop, one thread": on_threads(1, plain),
        f"plain loop, {usable_cores()} threads": on_threads(usable_cores(), plain),
    }
    for precision, model in models.items():
        loops[f"ours, {precision}"] = ours(model, sounds, DEFAULT_BATCH)
    return loops


def difference(plain: list[Emission], found: list[Emission]) -> float:
    """The largest of all probabilities' differences."""
    pairs = zip(plain, found, strict=True)
    return max(float(np.abs(np.exp(one) - np.exp(other)).max()) for one, other in pairs)


def lines_of(
    title: str, loops: dict[str, Loop], each_second: float, seconds: float, rounds: int
) -> list[str]:
    """Measure the contenders of one model, and make its lines of the table."""
    taken = measure(loops, rounds)
    speeds = product_speed()
    floor = each_second * seconds / max(speeds.values())
    single, several = (one for name, one in taken.items() if name.startswith("plain"))
    lines = []
    for name, one in taken.items():
        far = "" if "plain" in name else f"{difference(single.found, one.found):.0e}"
        processor = median(one.processor)
        lines.append(
            f"| {title} | {name} | {seconds / processor:.2f} "
            f"| {median(single.processor) / processor:.2f} | {floor / processor:.0%} "
            f"| {median(several.wall) / median(one.wall):.2f} | {far} |"
        )
    products = ", ".join(f"{name} {speed / 1e9:.0f}" for name, speed in speeds.items())
    lines.append(
        f"| {title} | the floor: {each_second / 1e9:.1f} GFLOP a second of sound; GFLOP/s by "
        f"{products} | {seconds / floor:.2f} | {median(single.processor) / floor:.2f} | 100% | | |"
    )
    return lines


def main() -> None:
    """Measure, print, and put the table into the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=295.0, help="Speech to read.")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--models", default="base,large,mms", help="Which shapes, by comma.")
    options = parser.parse_args()
    sounds = speech(options.seconds)
    seconds = sum(len(one) for one in sounds) / RATE
    load_before = os.getloadavg()[0]
    precisions: tuple[Precision, ...] = ("float32", "int8")
    if torch.cpu._is_avx512_bf16_supported():
        precisions = ("float32", "bfloat16", "int8")
    makers: dict[str, tuple[str, Callable[[], tuple[dict[str, Loop], float]]]] = {
        "base": (
            "transformers, wav2vec2-base (group norm)",
            lambda: transformers_loops(transformers.Wav2Vec2Config(), sounds, precisions),
        ),
        "large": (
            "transformers, XLS-R 300M",
            lambda: transformers_loops(transformers.Wav2Vec2Config(**LARGE), sounds, precisions),
        ),
        "mms": ("torchaudio, MMS_FA", lambda: torchaudio_loops(sounds, precisions)),
    }
    lines = [
        "| model | | audio s a processor s | to the plain loop | of the floor | wall, to the plain "
        "loop on all threads | probabilities differ by |",
        "|---|---|---:|---:|---:|---:|---:|",
    ]
    for name in options.models.split(","):
        title, make = makers[name]
        lines += lines_of(title, *make(), seconds, options.rounds)
    product = "numpy's" if prefer_numpy() else "torch's"
    lines += [
        "",
        f"{len(sounds)} recordings, {seconds:.0f} s; {usable_cores()} cores, "
        f"{torch.backends.cpu.get_cpu_capability()}, products by {product}; medians of "
        f"{options.rounds} rounds. The machine's load was {load_before:.1f} before, "
        f"{os.getloadavg()[0]:.1f} after.",
    ]
    table = "\n".join(lines) + "\n"
    print(table)
    replace_figures(PAGE, "emissions", table)


if __name__ == "__main__":
    main()
