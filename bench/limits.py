"""What does the audit say where its aligner hears little, or nothing?

Audits, by the real command: English speech under pink noise 10 dB louder than it, and with a model
whose weights are shuffled, ten draws each; romanised German, French, Spanish and Portuguese, and
Hebrew, under an English model; the Hebrew again, with some transcripts moved. Needs a NeMo-style
manifest of speech in these languages (`--data`, default `../shared/speech/manifest.jsonl`) and an
English acoustic model in NeMo's ONNX export (`--aligner`, default the QuartzNet 15x5 of
`../shared/models`).

Run: python -m bench.limits
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pyarrow.parquet
import uroman
from onnx import numpy_helper

from asr_gate.corpus.utterance import Utterance
from bench.detection.conditions import Condition, noise
from bench.detection.data import utterances
from bench.docs import replace_figures
from bench.needed import Missing, speech_and_model
from bench.real_speech import PAGE, audit, moved

DRAWS = 10
SNR = -10
LANGUAGES = {"de": "deu", "fr": "fra", "es": "spa", "pt": "por", "he": "heb"}
"""ISO 639-1 to 639-3, as uroman takes it."""
READ = "heblang_"
"""How the ids begin of the rows of which some transcripts are moved."""
MOVED = 12

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Found:
    """What one audit says."""

    planted: int
    """Swapped transcripts that it planted, and how many of them it found."""
    swapped: int
    underpowered: tuple[str, ...]
    right: int
    """Rows with their own transcript, and how many of them it excluded."""
    excluded: int
    wrong: int
    """Rows with another's, and how many of them it excluded."""
    caught: int
    decision: str


def main() -> None:
    """Measure, print, and put the table into the page."""
    data, aligner = speech_and_model(__doc__)
    english = utterances(data)
    kind, _, folder = aligner.partition(":")
    if kind != "nemo":
        raise Missing(f"{aligner}: no NeMo export; name one with --aligner nemo:FOLDER")
    model = Path(folder).resolve()
    rows = romanised(data)
    hebrew = [row for row in rows if row["lang"] == "he"]
    read = [row for row in hebrew if row["id"].startswith(READ)]
    if len(read) < MOVED:
        raise Missing(f"{data}: under {MOVED} Hebrew rows whose ids begin with {READ}")
    wrong = {row["id"]: row for row in moved(read[:: len(read) // MOVED][:MOVED])}
    others = [row for row in rows if row["lang"] != "he"]
    lines = [
        "| recordings | audits | swapped found | underpowered for | right ones excluded "
        "| moved ones excluded | decision |\n",
        "|---|---:|---:|---|---:|---:|---|\n",
    ]
    for name, audits in (
        (f"English under pink noise of {SNR} dB", _masked(english, model)),
        ("English, the model's weights shuffled", _unlearned(english, model)),
        ("German, French, Spanish, Portuguese", _heard(others, {}, data, model)),
        ("Hebrew", _heard(hebrew, {}, data, model)),
        (f"Hebrew, {MOVED} transcripts moved", _heard(hebrew, wrong, data, model)),
    ):
        lines.append(_line(name, list(audits)))
        print(lines[-1], end="", flush=True)
    replace_figures(PAGE, "limits", "".join(lines))


def _masked(english: Sequence[Utterance], model: Path) -> Iterator[Found]:
    for draw in range(DRAWS):
        with tempfile.TemporaryDirectory() as temporary:
            drawn = [replace(u, id=f"{draw} {u.id}") for u in english]
            heard = Condition("", partial(noise, snr=SNR)).render(drawn, 16000, Path(temporary))
            yield _found(_rows(heard), model, Path(temporary), Path(temporary))


def _unlearned(english: Sequence[Utterance], model: Path) -> Iterator[Found]:
    for draw in range(DRAWS):
        with tempfile.TemporaryDirectory() as temporary:
            random = shuffled(model, Path(temporary) / "model", draw)
            yield _found(_rows(english), random, Path("/"), Path(temporary))


def _heard(rows: Sequence[Row], wrong: dict[str, Row], data: Path, model: Path) -> Iterator[Found]:
    with tempfile.TemporaryDirectory() as temporary:
        mixed = [wrong.get(row["id"], row) for row in rows]
        as_english = [{**row, "lang": "en"} for row in mixed]
        yield _found(as_english, model, data.parent, Path(temporary), frozenset(wrong))


def _found(
    rows: Sequence[Row], model: Path, root: Path, folder: Path, wrong: frozenset[str] = frozenset()
) -> Found:
    report = audit(rows, f"nemo:{model}", root, folder)
    table = pyarrow.parquet.read_table(folder / "phase0" / "utterances.parquet").to_pylist()
    low = {row["id"] for row in table if row["low_quality"]}
    swapped = report["controls"]["swapped"]
    return Found(
        planted=swapped["n"],
        swapped=swapped["detected"],
        underpowered=tuple(
            kind for kind, power in report["controls"].items() if power["underpowered"]
        ),
        right=len(table) - len(wrong),
        excluded=len(low - wrong),
        wrong=len(wrong),
        caught=len(low & wrong),
        decision=report["decision"],
    )


def _line(name: str, found: Sequence[Found]) -> str:
    underpowered = sorted({", ".join(one.underpowered) for one in found})
    decisions = sorted({one.decision for one in found})
    return (
        f"| {name} | {len(found)} | {_span([one.swapped for one in found])} of {found[0].planted} "
        f"| {' or '.join(underpowered)} "
        f"| {_span([one.excluded for one in found])} of {found[0].right} "
        f"| {f'{found[0].caught} of {found[0].wrong}' if found[0].wrong else ''} "
        f"| {' or '.join(decisions)} |\n"
    )


def _span(numbers: Sequence[int]) -> str:
    low, high = min(numbers), max(numbers)
    return str(low) if low == high else f"{low} to {high}"


def _rows(heard: Sequence[Utterance]) -> list[Row]:
    return [
        {"id": u.id, "audio_filepath": str(u.audio), "text": u.text, "lang": u.lang} for u in heard
    ]


def romanised(data: Path) -> list[Row]:
    """The rows in these languages, in Latin letters."""
    latin = uroman.Uroman()
    rows = [json.loads(line) for line in data.read_text(encoding="utf-8").splitlines()]
    return [
        {**row, "text": latin.romanize_string(row["text"], lcode=LANGUAGES[row["lang"]])}
        for row in rows
        if row["lang"] in LANGUAGES
    ]


def shuffled(model: Path, folder: Path, seed: int) -> Path:
    """A copy of a NeMo export that has learned nothing: each layer's weights in random order."""
    folder.mkdir()
    for config in model.glob("*.yaml"):
        shutil.copyfile(config, folder / config.name)
    (path,) = model.glob("*.onnx")
    graph = onnx.load(path)
    rng = np.random.default_rng(seed)
    for tensor in graph.graph.initializer:
        weights = numpy_helper.to_array(tensor)
        if weights.ndim > 1:
            order = rng.permutation(weights.ravel()).reshape(weights.shape)
            tensor.CopyFrom(numpy_helper.from_array(order, tensor.name))
    onnx.save(graph, folder / path.name)
    return folder


if __name__ == "__main__":
    main()
