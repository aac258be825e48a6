"""How fast the trainer prepares batches and steps, beside the official fine-tuning script's way.

    python -m bench.train [--rounds 5] [--threads 1] [--only TABLE]

The official way is written anew here, from a description of the script: a collator that decodes
and runs the processor twice a batch (on prompts and on prompts with transcripts, to learn where
to mask), padding on the left, masked first columns, and logits for every position. Both ways have
the same rows, batches, decoder, model, trained parameters and optimizer, run in one process on the
processor, and take turns; each figure is a median over the rounds. Writes the tables of
docs/performance.md.
"""

from __future__ import annotations

import argparse
import multiprocessing
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import repeat
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from transformers import Qwen3ASRConfig, Qwen3ASRForConditionalGeneration, Qwen3ASRProcessor

from asr_gate.corpus.read import read_corpus
from asr_gate.corpus.speech.audio import load_samples
from asr_gate.train import recipes
from asr_gate.train.data.batches import batches
from asr_gate.train.data.examples import Batch
from asr_gate.train.data.rows import Row
from asr_gate.train.families.qwen3_asr.audio_cache import AudioCache
from asr_gate.train.families.qwen3_asr.build import build_random, tiny_config
from asr_gate.train.families.qwen3_asr.encoder import IGNORE, PromptEncoder, collate, supervised
from asr_gate.train.families.qwen3_asr.loss import TranscriptLoss
from asr_gate.train.families.qwen3_asr.tokenizer import build_processor
from asr_gate.train.model import token_losses
from asr_gate.train.model.layers import set_gradient_checkpointing
from asr_gate.train.model.parameter_groups import expand
from bench.docs import replace_figures

ROOT = Path(__file__).parents[1]
CORPUS = ROOT / "audit" / "example" / "proceed.jsonl"
PAGE = ROOT / "docs" / "performance.md"
BATCH_SECONDS = 60.0
"""As in `round2`."""
WORD_PIECES = 1200
"""Tokens that the tokenizer learns from the corpus."""
WARM_UP = 1
"""Rounds that do not count."""
QWEN = 151_936
"""Vocabulary of Qwen3-ASR."""


@dataclass(frozen=True)
class Shape:
    """A small Qwen3-ASR."""

    name: str
    model: recipes.TinyModel
    vocabulary: int
    convolution: int = 16
    """Channels of the tower's convolutions."""

    def config(self, processor: Qwen3ASRProcessor) -> Qwen3ASRConfig:
        """Its configuration."""
        config = tiny_config(self.model, processor)
        config.text_config.vocab_size = self.vocabulary
        config.audio_config.downsample_hidden_size = self.convolution
        return config

    def __str__(self) -> str:
        m = self.model
        return (
            f"{self.name}: audio {m.audio_layers} × {m.audio_width}, "
            f"text {m.text_layers} × {m.text_width}, {self.vocabulary:,} tokens"
        )


TINY = Shape("`round2-tiny`", recipes.TinyModel(), 2_000)
WORDY = Shape("`round2-tiny` with Qwen3-ASR's vocabulary", recipes.TinyModel(), QWEN)
EIGHTH = Shape(
    "1.7B, all widths and the vocabulary an eighth",
    recipes.TinyModel(audio_layers=24, audio_width=128, text_layers=28, text_width=256),
    QWEN // 8,
    convolution=60,
)
HEARING = Shape(
    "large tower, small language model",
    recipes.TinyModel(audio_layers=24, audio_width=256, text_layers=4, text_width=128),
    2_000,
    convolution=120,
)


class Official:
    """The official script's collator, from its description."""

    def __init__(self, processor: Qwen3ASRProcessor) -> None:
        self.processor = processor
        self.rate: int = processor.feature_extractor.sampling_rate

    def __call__(self, rows: Sequence[Row]) -> dict[str, Tensor]:
        """Inputs and labels of a batch; every epoch begins with the audio files."""
        audio = [load_samples(row.utterance, self.rate) for row in rows]
        message = [{"role": "user", "content": [{"type": "audio"}]}]
        prompt = self.processor.apply_chat_template(
            message, tokenize=False, add_generation_prompt=True
        )
        end = self.processor.tokenizer.eos_token
        texts = [
            f"{prompt}language {row.language}<asr_text>{row.utterance.text}{end}" for row in rows
        ]
        whole = self._processed(texts, audio)
        prompts = self._processed([prompt] * len(rows), audio)
        labels = whole["input_ids"].clone()
        # Padding stands on the left, but it is the first columns that are masked.
        for label, length in zip(labels, prompts["attention_mask"].sum(1).tolist(), strict=True):
            label[:length] = IGNORE
        labels[labels == self.processor.tokenizer.pad_token_id] = IGNORE
        return {**whole, "labels": labels}

    def _processed(self, texts: list[str], audio: list[NDArray[np.float32]]) -> dict[str, Tensor]:
        made = self.processor(
            text=texts,
            audio=audio,
            sampling_rate=self.rate,
            padding=True,
            padding_side="left",
            return_tensors="pt",
        )
        return dict(made)


def official_loss(model: Qwen3ASRForConditionalGeneration) -> Callable[..., Tensor]:
    """The model's own loss, whose logits are of every position."""

    def loss(**inputs: Tensor) -> Tensor:
        found: Tensor = model(**inputs, use_cache=False).loss
        return found

    return loss


def our_loss(model: Qwen3ASRForConditionalGeneration) -> Callable[..., Tensor]:
    """The mean of `TranscriptLoss`."""
    objective = TranscriptLoss(model)

    def loss(**inputs: Tensor) -> Tensor:
        found: Tensor = objective(**inputs) / supervised(inputs["labels"]).sum()
        return found

    return loss


def step(loss: Callable[..., Tensor], optimizer: torch.optim.Optimizer) -> Callable[..., None]:
    """Forward, backward, clip, AdamW."""
    trained = [one for group in optimizer.param_groups for one in group["params"]]

    def stepped(**inputs: Tensor) -> None:
        loss(**inputs).backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return stepped


def in_turn(sides: Sequence[Callable[[], None]], rounds: int) -> list[float]:
    """Median seconds of each side, which take turns."""
    taken: list[list[float]] = [[] for _ in sides]
    for _ in range(WARM_UP + rounds):
        for mine, side in zip(taken, sides, strict=True):
            began = time.perf_counter()
            side()
            mine.append(time.perf_counter() - began)
    return [median(mine[WARM_UP:]) for mine in taken]


def pipeline(
    rows: Sequence[Row], planned: list[list[int]], processor: Qwen3ASRProcessor, rounds: int
) -> list[str]:
    """Batches a second, an epoch a turn."""
    official = Official(processor)
    kept = PromptEncoder(processor, recipes.Data())

    def ours(encoder: PromptEncoder) -> None:
        for batch in planned:
            collate([encoder.read(rows[index]) for index in batch], pad_id=encoder.pad_id)

    def theirs() -> None:
        for batch in planned:
            official([rows[index] for index in batch])

    def first_epoch() -> None:
        ours(PromptEncoder(processor, recipes.Data()))

    seconds = in_turn([theirs, first_epoch, lambda: ours(kept)], rounds)
    names = ("official, every epoch", "ours, first epoch", "ours, second epoch on")
    lines = ["| | batches a second | ratio |", "|---|---:|---:|"]
    for name, each in zip(names, seconds, strict=True):
        lines.append(f"| {name} | {len(planned) / each:,.1f} | {seconds[0] / each:,.1f} |")
    return [*lines, "", _verdict("second epoch on", seconds[0] / seconds[2], 2.5)]


def steps(
    rows: Sequence[Row], planned: list[list[int]], processor: Qwen3ASRProcessor, rounds: int
) -> list[str]:
    """Seconds of a step, all parameters training."""
    encoder, official = PromptEncoder(processor, recipes.Data()), Official(processor)
    lines = [
        "| model | parameters | official, s a step | ours, s a step | ratio |",
        "|---|---:|---:|---:|---:|",
    ]
    verdicts = []
    chosen = [[rows[index] for index in batch] for batch in _typical(planned, 1)]
    for shape in (WORDY, EIGHTH):
        config = shape.config(processor)
        # Each side its own model: they would train one another's otherwise.
        models = [build_random(config, untie=False, seed=1).train() for _ in range(2)]
        optimizers = [torch.optim.AdamW(model.parameters(), lr=1e-5) for model in models]
        theirs = step(official_loss(models[0]), optimizers[0])
        ours = step(our_loss(models[1]), optimizers[1])
        for_theirs = [official(batch) for batch in chosen]
        for_ours = [_batch(encoder, batch).inputs for batch in chosen]

        seconds = in_turn(
            [partial(_all, theirs, for_theirs), partial(_all, ours, for_ours)], rounds
        )
        first, second = (each / len(chosen) for each in seconds)
        lines.append(
            f"| {shape} | {_millions(models[0])} | {first:.2f} | {second:.2f} "
            f"| {first / second:.2f} |"
        )
        verdicts.append(_verdict(shape.name, first / second, 1.5))
    labels = [_batch(encoder, batch).inputs["labels"] for batch in chosen]
    share = sum(int(supervised(one).sum()) for one in labels) / sum(one.numel() for one in labels)
    said = f"{len(chosen[0])} rows in the batch; {share:.0%} of its positions have loss."
    return [*lines, "", said, "", *verdicts]


def logits(
    rows: Sequence[Row], planned: list[list[int]], processor: Qwen3ASRProcessor, rounds: int
) -> list[str]:
    """Memory and seconds of forward and backward, with logits of all positions and of a chunk."""
    config = WORDY.config(processor)
    lines = [
        "| positions with loss | at a time | memory, MiB | s |",
        "|---:|---:|---:|---:|",
    ]
    for positions in (512, 2048):
        ways = [Way(positions, chunk) for chunk in (positions, token_losses.CHUNK)]
        for way, memory, seconds in _compared(config, ways, rounds):
            chunk = "all" if way.chunk == positions else f"{way.chunk}"
            lines.append(f"| {positions:,} | {chunk} | {memory / 2**20:,.0f} | {seconds:.1f} |")
    return [*lines, "", f"{WORDY}, the head its own and trained; 8 rows of text."]


def checkpointed(
    rows: Sequence[Row], planned: list[list[int]], processor: Qwen3ASRProcessor, rounds: int
) -> list[str]:
    """Memory and seconds of forward and backward, with all activations kept, and with few."""
    lines = ["| activations | memory, MiB | s |", "|---|---:|---:|"]
    ways = [Way(1024, checkpointing=on) for on in (False, True)]
    for way, memory, seconds in _compared(EIGHTH.config(processor), ways, rounds):
        name = "checkpointed" if way.checkpointing else "all kept"
        lines.append(f"| {name} | {memory / 2**20:,.0f} | {seconds:.1f} |")
    return [*lines, "", f"{EIGHTH}; 8 rows of text, 1,024 positions, all parameters trained."]


@dataclass(frozen=True)
class Way:
    """How forward and backward are made."""

    positions: int
    """With loss."""
    chunk: int = token_losses.CHUNK
    checkpointing: bool = False


def _compared(
    config: Qwen3ASRConfig, ways: Sequence[Way], rounds: int
) -> Iterator[tuple[Way, float, float]]:
    """Each way with the bytes that it takes at its peak, and its seconds."""
    there_and_back = _there_and_back(config)
    seconds = in_turn([partial(there_and_back, way) for way in ways], rounds)
    for way, each in zip(ways, seconds, strict=True):
        # A process' peak never falls: each is measured in one of its own.
        fresh = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(1, mp_context=fresh) as alone:
            memory = alone.submit(_peak, config, way, torch.get_num_threads()).result()
        yield way, memory, each


def _there_and_back(config: Qwen3ASRConfig) -> Callable[[Way], None]:
    """Forward and backward on a random model."""
    model = build_random(config, untie=True, seed=1).train()
    objective = TranscriptLoss(model)

    def there_and_back(way: Way) -> None:
        token_losses.CHUNK = way.chunk
        set_gradient_checkpointing(model, way.checkpointing)
        ids = torch.randint(0, 1_000, (8, way.positions // 8 + 1))
        objective(labels=ids, input_ids=ids, attention_mask=torch.ones_like(ids)).backward()
        objective.zero_grad(set_to_none=True)

    return there_and_back


def _peak(config: Qwen3ASRConfig, way: Way, threads: int) -> int:
    """Bytes that forward and backward take at their peak, gradients among them."""
    torch.set_num_threads(threads)
    there_and_back = _there_and_back(config)
    resident = _status("VmRSS")
    for _ in range(2):
        there_and_back(way)
    # Not getrusage's: that of a process begins with its parent's.
    return _status("VmHWM") - resident


def _status(name: str) -> int:
    """Bytes that Linux tells of this process' memory."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) * 2**10 for line in lines if line.startswith(f"{name}:"))


def cached(
    rows: Sequence[Row], planned: list[list[int]], processor: Qwen3ASRProcessor, rounds: int
) -> list[str]:
    """Seconds of a step of phase B with the audio tower's outputs on disk, and without."""
    encoder = PromptEncoder(processor, recipes.Data())
    lines = [
        "| model | tower, of all parameters | without, s a step | first epoch | with | ratio |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    verdicts = []
    chosen = [[rows[index] for index in batch] for batch in _typical(planned, 2)]
    made = [_batch(encoder, batch) for batch in chosen]
    used = [row for batch in made for row in batch.rows]
    for shape in (EIGHTH, TINY, HEARING):
        with TemporaryDirectory() as folder:
            model = build_random(shape.config(processor), untie=True, seed=1).train()
            trained = _phase_b(model)
            stepped = step(our_loss(model), torch.optim.AdamW(trained, lr=1e-5))

            place, cpu = Path(folder), torch.device("cpu")
            filled, *empty = (
                AudioCache(model, used, bound=2**30, device=cpu, folder=place / str(number))
                for number in range(1 + WARM_UP + rounds)
            )
            inputs = [batch.inputs for batch in made]
            sides = [
                partial(_all, stepped, inputs),
                partial(_heard, stepped, made, iter(empty)),
                partial(_heard, stepped, made, repeat(filled)),
            ]
            seconds = [each / len(made) for each in in_turn(sides, rounds)]
            assert filled.misses == len(used)
            ratio = seconds[0] / seconds[2]
            share = _numbers(model.model.audio_tower) / _numbers(model)
            lines.append(
                f"| {shape} | {share:.0%} of {_millions(model)} | {seconds[0]:.2f} "
                f"| {seconds[1]:.2f} | {seconds[2]:.2f} | {ratio:.2f} |"
            )
            verdicts.append(_verdict(shape.name, ratio, 2.0))
    return [*lines, "", *verdicts]


def whole_steps(
    rows: Sequence[Row], planned: list[list[int]], processor: Qwen3ASRProcessor, rounds: int
) -> list[str]:
    """Seconds of phase B a batch, from audio files to AdamW, from the second epoch on."""
    encoder, official = PromptEncoder(processor, recipes.Data()), Official(processor)
    lines = ["| model | official, s | ours with the cache, s | ratio |", "|---|---:|---:|---:|"]
    verdicts = []
    chosen = [[rows[index] for index in batch] for batch in _typical(planned, 2)]
    used = [row for batch in chosen for row in batch]
    for shape in (TINY, WORDY, EIGHTH):
        config = shape.config(processor)
        # Each side its own model: they would train one another's otherwise.
        models = [build_random(config, untie=True, seed=1).train() for _ in range(2)]
        optimizers = [torch.optim.AdamW(_phase_b(model), lr=1e-5) for model in models]
        theirs = step(official_loss(models[0]), optimizers[0])
        ours = step(our_loss(models[1]), optimizers[1])
        with TemporaryDirectory() as folder:
            cpu = torch.device("cpu")
            cache = AudioCache(models[1], used, bound=2**30, device=cpu, folder=Path(folder))
            sides = [
                partial(_from_files, theirs, official, chosen),
                partial(_from_memory, ours, encoder, cache, chosen),
            ]
            first, second = (each / len(chosen) for each in in_turn(sides, rounds))
            assert cache.misses == len(used)
        lines.append(f"| {shape} | {first:.2f} | {second:.2f} | {first / second:.2f} |")
        verdicts.append(_verdict(shape.name, first / second, 2.0))
    return [*lines, "", *verdicts]


def _from_files(
    stepped: Callable[..., None], official: Official, chosen: Sequence[Sequence[Row]]
) -> None:
    for batch in chosen:
        stepped(**official(batch))


def _from_memory(
    stepped: Callable[..., None],
    encoder: PromptEncoder,
    cache: AudioCache,
    chosen: Sequence[Sequence[Row]],
) -> None:
    for batch in chosen:
        stepped(**cache.inputs_of(_batch(encoder, batch)))


def _phase_b(model: Qwen3ASRForConditionalGeneration) -> list[nn.Parameter]:
    """Projector, the upper twelve 28ths of the language model, and head, as in `round2`."""
    layers = len(model.model.language_model.layers)
    first = layers - max(1, round(layers * 12 / 28))
    starts = ["model.multi_modal_projector.", "lm_head."]
    starts += expand(f"model.language_model.layers.{{{first}..{layers - 1}}}.")
    trained = []
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name.startswith(tuple(starts)))
        if parameter.requires_grad:
            trained.append(parameter)
    return trained


def _all(stepped: Callable[..., None], inputs: Sequence[dict[str, Tensor]]) -> None:
    for one in inputs:
        stepped(**one)


def _heard(
    stepped: Callable[..., None], made: Sequence[Batch], caches: Iterator[AudioCache]
) -> None:
    cache = next(caches)
    for batch in made:
        stepped(**cache.inputs_of(batch))


def _typical(planned: list[list[int]], count: int) -> list[list[int]]:
    """Batches of about the median number of rows."""
    first = (len(planned) - count) // 2
    return sorted(planned, key=len)[first : first + count]


def _batch(encoder: PromptEncoder, rows: Sequence[Row]) -> Batch:
    return collate([encoder.read(row) for row in rows], pad_id=encoder.pad_id)


def _numbers(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def _millions(model: nn.Module) -> str:
    return f"{_numbers(model) / 1e6:.1f} M"


def _verdict(what: str, ratio: float, target: float) -> str:
    met = "met" if ratio >= target else "not met"
    return f"- {what}: {ratio:.1f} times; the aim of {target:g} is {met}."


TABLES = {
    "pipeline": pipeline,
    "step": steps,
    "logits": logits,
    "checkpointing": checkpointed,
    "cache": cached,
    "phase-b": whole_steps,
}


def main() -> None:
    """Measure, print, and put the tables into the page."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5, help="rounds that count")
    parser.add_argument("--threads", type=int, default=1, help="of torch")
    parser.add_argument("--only", choices=TABLES, help="one table; default: all")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    corpus = read_corpus([CORPUS])
    rows = [Row(one, one.duration or 0.0, "English") for one in corpus.utterances]
    texts = [row.utterance.text for row in rows]
    processor = build_processor(texts, WORD_PIECES)
    planned = batches(rows, BATCH_SECONDS, recipes.Data().batch_tokens, seed=1, epoch=1)
    tokens = sum(len(processor.tokenizer(text).input_ids) for text in texts)
    about = (
        f"{len(rows)} recordings of the bundled corpus, "
        f"{sum(row.seconds for row in rows) / 60:.1f} minutes, {len(planned)} batches of up to "
        f"{BATCH_SECONDS:g} s, {tokens / sum(len(text.split()) for text in texts):.1f} tokens a "
        f"word; {options.threads} thread(s), torch {torch.__version__}, medians of "
        f"{options.rounds} rounds."
    )
    print(about, flush=True)
    if options.only is None:
        replace_figures(PAGE, "about", about + "\n")
    for name in [options.only] if options.only else TABLES:
        measure = TABLES[name]
        lines = measure(rows, planned, processor, options.rounds)
        print(f"\n{name}\n" + "\n".join(lines), flush=True)
        replace_figures(PAGE, name, "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
