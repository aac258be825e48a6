"""Figures of the embedded model on recorded speech.

    python -m recipes.embedded.evaluate MANIFEST [--doc docs/embedded-model.md]

MANIFEST is NeMo-style JSON lines with `id`, `audio_filepath`, `text`, `lang` and, where known,
`words` with times. Rows in the model's language count, less those with digits in the text and
single digits.
"""

import argparse
import json
import random
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jiwer
import numpy as np
import soundfile
import soxr
import torch
import torchaudio
from torch import Tensor

from asr_gate.embedded.encoding import SAMPLE_RATE, STRIDE_SECONDS
from asr_gate.embedded.files import SHIPPED
from asr_gate.embedded.network import EmbeddedNet
from recipes.embedded.language import Language, find
from recipes.embedded.languages.en import DIGITS
from recipes.embedded.onnx_file import load

BEGIN = "<!-- {} figures: begin -->"
END = "<!-- {} figures: end -->"
DRAWS = 5
"""Planted defects of each kind in every utterance."""
HOPELESS = -100.0
"""Score of a text with more letters than the audio has frames."""

Emit = Callable[[Tensor], Tensor]
"""(samples,) at 16 kHz to (frames, tokens) log-probabilities."""


@dataclass
class Row:
    id: str
    text: str
    seconds: float
    log_probs: Tensor
    """(frames, tokens)."""
    words: list[dict[str, Any]]

    @property
    def source(self) -> str:
        return self.id.split("_")[0]


@dataclass(frozen=True)
class Alignment:
    """Strict forced alignment of a text, every word of which gets a place."""

    words: list[float]
    """Score a word: log-probability of the path less that of the best tokens, a letter."""
    starts: list[float]
    """Seconds at which each word's first letter is emitted."""
    total: float
    """The same score over the whole utterance."""


def align(log_probs: Tensor, text: str, tokens: tuple[str, ...]) -> Alignment:
    """Scores are 0 where the model would write the same and fall below where it disagrees."""
    words = text.split()
    targets = torch.tensor([[tokens.index(c) for c in " ".join(words)]])
    repeats = int((targets[0, 1:] == targets[0, :-1]).sum())
    if not words or targets.shape[1] + repeats > len(log_probs):
        return Alignment([HOPELESS], [], HOPELESS)
    path, scores = torchaudio.functional.forced_align(log_probs[None], targets, blank=0)
    behind = scores[0] - log_probs.amax(-1)
    spans = torchaudio.functional.merge_tokens(path[0], scores[0].exp())
    found, starts, at = [], [], 0
    for word in words:
        first, last = spans[at].start, spans[at + len(word) - 1].end
        found.append(float(behind[first:last].sum()) / len(word))
        starts.append(first * STRIDE_SECONDS)
        at += len(word) + 1
    return Alignment(found, starts, float(behind.sum()) / len(text))


# --- planted defects ------------------------------------------------------------------------------


def swapped(text: str, others: list[str], rng: random.Random) -> str:
    return rng.choice([other for other in others if other != text])


def inserted(text: str, others: list[str], rng: random.Random) -> str:
    words = text.split()
    words.insert(rng.randint(0, len(words)), rng.choice(rng.choice(others).split()))
    return " ".join(words)


def replaced(text: str, others: list[str], rng: random.Random) -> str:
    words = text.split()
    place = rng.randrange(len(words))
    old = words[place]
    while words[place] == old:
        words[place] = rng.choice(rng.choice(others).split())
    return " ".join(words)


def missing(text: str, others: list[str], rng: random.Random) -> str:
    words = text.split()
    if len(words) > 1:
        del words[rng.randrange(len(words))]
    return " ".join(words)


DEFECTS: dict[str, tuple[Callable[[str, list[str], random.Random], str], Callable[..., float]]] = {
    "swapped transcript": (swapped, lambda alignment: alignment.total),
    "inserted word": (inserted, lambda alignment: min(alignment.words)),
    "replaced word": (replaced, lambda alignment: min(alignment.words)),
    "missing word": (missing, lambda alignment: alignment.total),
}
"""How a text is spoilt, and which score has to tell."""


def detection(
    rows: list[Row], kind: str, tokens: tuple[str, ...], seed: int = 1
) -> tuple[float, float]:
    """Area under the ROC curve, and the share found where 1 % of the right texts are flagged."""
    spoil, score = DEFECTS[kind]
    rng = random.Random(seed)
    texts = sorted({row.text for row in rows})
    right = np.array([score(align(row.log_probs, row.text, tokens)) for row in rows])
    wrong = np.array([
        score(align(row.log_probs, spoil(row.text, texts, rng), tokens))
        for row in rows for _ in range(DRAWS)
    ])  # fmt: skip
    ties = (wrong[:, None] == right[None]).mean()
    area = (wrong[:, None] < right[None]).mean() + 0.5 * ties
    return float(area), float((wrong < np.quantile(right, 0.01, method="lower")).mean())


def start_errors(rows: Iterable[Row], language: Language) -> list[float]:
    """Seconds by which aligned word starts come after the labelled ones."""
    errors = []
    for row in rows:
        starts = align(row.log_probs, row.text, language.tokens).starts
        truth = [word["start"] for word in row.words if language.normalise(word["word"])]
        if len(truth) == len(starts):
            errors += [start - true for start, true in zip(starts, truth, strict=True)]
    return errors


# --- rows and table -------------------------------------------------------------------------------


def read_rows(manifest: Path, emit: Emit, language: Language) -> tuple[list[Row], float]:
    """The language's rows with their emissions, and the seconds that all emissions took."""
    rows, spent = [], 0.0
    for line in manifest.read_text("utf-8").splitlines():
        entry = json.loads(line)
        text = language.normalise(entry["text"])
        usable = entry.get("lang") == language.code and not any(c.isdigit() for c in entry["text"])
        if not usable or text in DIGITS or not text:
            continue
        wave, rate = soundfile.read(manifest.parent / entry["audio_filepath"], dtype="float32")
        wave = wave.mean(1) if wave.ndim > 1 else wave
        wave = soxr.resample(wave, rate, SAMPLE_RATE) if rate != SAMPLE_RATE else wave
        started = time.perf_counter()
        log_probs = emit(torch.from_numpy(wave))
        spent += time.perf_counter() - started
        seconds = len(wave) / SAMPLE_RATE
        rows.append(Row(entry["id"], text, seconds, log_probs, entry.get("words") or []))
    return rows, spent


def greedy(log_probs: Tensor, tokens: tuple[str, ...]) -> str:
    """The best token of every frame, repeats and blanks taken out: (frames, tokens) to text."""
    best = torch.unique_consecutive(log_probs.argmax(-1)).tolist()
    return " ".join("".join(tokens[token] for token in best if token).split())


def emitter(net: EmbeddedNet) -> Emit:
    """One utterance at a time."""

    def emit(wave: Tensor) -> Tensor:
        log_probs, _ = net.emit(wave[None], torch.tensor([len(wave)]))
        return log_probs[0]

    return emit


def table(rows: list[Row], spent: float, language: Language) -> str:
    """All figures as Markdown."""
    tokens = language.tokens
    groups: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        groups[row.source].append(row)
    # A share at 1 % false alarms means little on a few utterances.
    groups = {name: group for name, group in groups.items() if len(group) >= 8}
    lines = ["| rows | n | min | CER | WER | " + " | ".join(DEFECTS) + " |"]
    lines += ["|---" * (5 + len(DEFECTS)) + "|"]
    for name, group in [("all", rows), *sorted(groups.items())]:
        texts, heard = [r.text for r in group], [greedy(r.log_probs, tokens) for r in group]
        figures = [detection(group, kind, tokens) for kind in DEFECTS]
        cells = [name if name == "all" else f"`{name}_*`", str(len(group))]
        cells += [f"{sum(r.seconds for r in group) / 60:.1f}"]
        cells += [f"{jiwer.cer(texts, heard):.2f}", f"{jiwer.wer(texts, heard):.2f}"]
        cells += [f"{area:.3f} ({share:.2f})" for area, share in figures]
        lines.append("| " + " | ".join(cells) + " |")
    errors = np.array(start_errors(rows, language))
    lines += ["", "Detection: area under the ROC curve, in brackets the share found at 1 % false"]
    lines += [f"alarms; {DRAWS} defects of each kind an utterance.", ""]
    if len(errors):
        delay = float(np.median(errors))
        near = np.mean(np.abs(errors - delay) <= 0.05), np.mean(np.abs(errors - delay) <= 0.1)
        lines += [
            f"Word starts against {len(errors)} labelled ones: median delay {1000 * delay:.0f} ms;"
            f" with it taken out {100 * near[0]:.0f} % lie within 50 ms, {100 * near[1]:.0f} %"
            " within 100 ms.",
            "",
        ]
    speed = sum(row.seconds for row in rows) / spent
    lines += [f"Speed: RTFx {speed:.0f} on one thread, features included."]
    return "\n".join(lines)


def about(net: EmbeddedNet) -> str:
    """One line on the model that was measured."""
    card = net.card
    data, trained = card["data"], card["trained"]
    hours, before = 0.0, card.get("began_with")
    while before:
        hours += before["data"]["hours"]
        before = before.get("began_with")
    earlier = f" after {hours:.2f} h of others" if hours else ""
    return (
        f"Model `{card['revision']}`: {card['parameters']:,} parameters; {data['hours']} h,"
        f" {data['utterances']:,} utterances{earlier}; {trained['steps']:,} steps in"
        f" {trained['minutes']:.0f} minutes. On its held-out voice: CER"
        f" {trained['held_out_character_error_rate']:.2f}, word starts {1000 * card['delay']:.0f}"
        " ms late."
    )


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Figures of the embedded model.")
    parser.add_argument("manifest", type=Path)
    parser.add_argument("--doc", type=Path, help="page whose figures are remade in place")
    parser.add_argument("--model", type=Path, default=SHIPPED, help="folder of the model")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    net = load(options.model)
    language = find(net.card.get("language", "en"))
    rows, spent = read_rows(options.manifest, emitter(net), language)
    figures = f"{about(net)}\n\n{table(rows, spent, language)}"
    print(figures)
    if options.doc:
        page = options.doc.read_text("utf-8")
        begin, end = (mark.format(language.code) for mark in (BEGIN, END))
        head, rest = page.split(begin)
        tail = rest.split(end)[1]
        options.doc.write_text(f"{head}{begin}\n{figures}\n{end}{tail}", "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
