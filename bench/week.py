"""A corpus as a team hands it in: three formats, domains and splits, and mistakes of every kind.

The speech is that of the bundled corpus. `studio` is one file of JSON lines, `phone` a Kaldi folder
for each split, `reading` a CSV; no row names its domain, but its audio lies in a folder of its own.
"""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import groupby
from pathlib import Path
from typing import TypeAlias

import soundfile

from asr_gate.audit.example.sound import FLAC, SAMPLE_RATE, Samples, silence, write

EXAMPLE = Path(__file__).parents[1] / "audit" / "example"
END = "long-023"
"""The first row that is left out: long rows take most of the time of an audit."""
DOMAINS = {"kan_clean": "studio", "whatsapp_noisy": "phone", "long_tail": "reading"}
SPLITS = ("train", "train", "dev", "train", "test", "train", "train")
"""Taken in turn, so that rows of each length and speaker are in each."""
MANIFESTS = (
    "data/studio.jsonl",
    *(f"data/phone/{split}" for split in ("train", "dev", "test")),
    "data/reading.csv",
)


class Mistake(StrEnum):
    """What was done to a row; the value begins with the code of the rule that should name it."""

    SWAPPED = "A012"
    CUT = "A009"
    HALF = "A009, of the recording"
    WORDS = "A007"
    SILENT = "S003"
    MISSING = "S001"
    EMPTY = "T001"
    MARKUP = "T008"
    LANGUAGE = "T010"
    COPY = "D001"
    LEAK = "D004"

    @property
    def code(self) -> str:
        """The rule that should name it."""
        return self.value[:4]


Plan: TypeAlias = Mapping[Mistake, int]

PLANS: Mapping[str, Plan] = {
    "studio": {
        Mistake.SWAPPED: 4,
        Mistake.CUT: 2,
        Mistake.HALF: 1,
        Mistake.LANGUAGE: 2,
        Mistake.WORDS: 1,
        Mistake.MARKUP: 3,
        Mistake.SILENT: 2,
        Mistake.EMPTY: 1,
        Mistake.COPY: 2,
        Mistake.LEAK: 2,
    },
    "phone": {
        Mistake.SWAPPED: 4,
        Mistake.CUT: 2,
        Mistake.HALF: 1,
        Mistake.LANGUAGE: 1,
        Mistake.WORDS: 1,
        Mistake.MARKUP: 2,
        Mistake.SILENT: 3,
        Mistake.MISSING: 1,
        Mistake.LEAK: 2,
    },
    "reading": {
        Mistake.SWAPPED: 2,
        Mistake.COPY: 2,
        Mistake.CUT: 2,
        Mistake.HALF: 2,
        Mistake.WORDS: 2,
        Mistake.MARKUP: 1,
        Mistake.EMPTY: 1,
    },
}
"""Domain to mistake to how many rows."""

GERMAN = (
    "Heute morgen war das Wetter noch schön und wir sind mit dem Zug in die Stadt gefahren.",
    "Kannst du mir bitte sagen, wann der nächste Bus nach Hause fährt?",
    "Die Kinder haben den ganzen Nachmittag im Garten gespielt und sind jetzt müde.",
)
TAGS = ("<b>{}</b> [noise]", "<p>{}</p>", "Speaker 1: {}<br/>")


@dataclass(frozen=True)
class Row:
    """One row of the corpus, and what was done to it."""

    id: str
    audio: Path
    """Its file."""
    text: str
    domain: str
    split: str
    planted: Mistake | None = None
    """None: the row is right."""


def build(folder: Path) -> list[Row]:
    """Write the corpus into `folder/data`; all its rows, broken or not."""
    right = _right(folder)
    rows = [
        row
        for domain, members in groupby(right, lambda row: row.domain)
        for row in _spoiled(list(members), PLANS[domain])
    ]
    data = folder / "data"
    _write_nemo(data, [row for row in rows if row.domain == "studio"])
    _write_kaldi(data, [row for row in rows if row.domain == "phone"])
    _write_csv(data, [row for row in rows if row.domain == "reading"])
    return rows


def _right(folder: Path) -> list[Row]:
    """The rows of the bundled corpus that are right and have a file of their own."""
    broken = json.loads((EXAMPLE / "broken.json").read_text())["proceed.jsonl"]["broken"]
    rows: list[Row] = []
    for line in (EXAMPLE / "proceed.jsonl").read_text().splitlines():
        known = json.loads(line)
        if known["id"] == END:
            break
        if known["id"] in broken or "offset" in known:
            continue
        domain = DOMAINS[known["domain"]]
        audio = folder / "data" / "audio" / domain / Path(known["audio_filepath"]).name
        audio.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(EXAMPLE / known["audio_filepath"], audio)
        split = SPLITS[len(rows) % len(SPLITS)]
        rows.append(Row(known["id"], audio, known["text"], domain, split))
    return rows


def _spoiled(rows: Sequence[Row], plan: Plan) -> list[Row]:
    """The rows of one domain with the mistakes of a plan, copies at their end."""
    found = {row.id: row for row in rows}
    # The longest texts first: of a few words hardly any is left to be cut.
    left = sorted(rows, key=lambda row: (-len(row.text), row.id))
    for mistake, count in plan.items():
        match mistake:
            case Mistake.SWAPPED:
                taken = [left.pop(0) for _ in range(count)]
                for one, other in zip(taken[::2], taken[1::2], strict=True):
                    found[one.id] = replace(one, text=other.text, planted=mistake)
                    found[other.id] = replace(other, text=one.text, planted=mistake)
            case Mistake.COPY | Mistake.LEAK:
                for row in [row for row in left if row.split == "train"][:count]:
                    left.remove(row)
                    copy = _copy(row, "test" if mistake is Mistake.LEAK else row.split)
                    # Of copies that of the test split stays, else the first.
                    wrong = row if mistake is Mistake.LEAK else copy
                    found[copy.id] = copy
                    found[wrong.id] = replace(wrong, planted=mistake)
            case _:
                for number in range(count):
                    row = left.pop(0)
                    found[row.id] = _broken(row, mistake, number)
    return list(found.values())


def _copy(row: Row, split: str) -> Row:
    audio = row.audio.with_stem(row.audio.stem + "-copy")
    shutil.copyfile(row.audio, audio)
    return replace(row, id=row.id + "-copy", audio=audio, split=split)


def _broken(row: Row, mistake: Mistake, number: int) -> Row:
    """The row with one mistake; `number` chooses among several of a kind."""
    words = row.text.split()
    text = row.text
    match mistake:
        case Mistake.SILENT:
            row = _recorded(row, silence(_samples(row).size / SAMPLE_RATE))
        case Mistake.HALF:
            row = _recorded(row, _samples(row)[: _samples(row).size // 2])
        case Mistake.MISSING:
            row.audio.unlink()
        case Mistake.CUT:
            text = " ".join(words[: len(words) // 2])
        case Mistake.WORDS:
            text = " ".join(words[: len(words) // 3] + words[len(words) // 3 + 2 :])
        case Mistake.EMPTY:
            text = ""
        case Mistake.MARKUP:
            text = TAGS[number % len(TAGS)].format(row.text)
        case Mistake.LANGUAGE:
            text = GERMAN[number % len(GERMAN)]
    return replace(row, text=text, planted=mistake)


def _samples(row: Row) -> Samples:
    samples: Samples = soundfile.read(row.audio, dtype="float32")[0]
    return samples


def _recorded(row: Row, samples: Samples) -> Row:
    """The row with another recording in place of its own."""
    row.audio.unlink()
    path = row.audio.with_suffix(FLAC.suffix)
    write(path, samples, FLAC)
    return replace(row, audio=path)


def _write_nemo(data: Path, rows: Sequence[Row]) -> None:
    lines = (
        {
            "id": row.id,
            "audio_filepath": str(row.audio.relative_to(data)),
            "text": row.text,
            "split": row.split,
        }
        for row in rows
    )
    (data / "studio.jsonl").write_text("".join(json.dumps(one) + "\n" for one in lines))


def _write_kaldi(data: Path, rows: Sequence[Row]) -> None:
    for split in ("train", "dev", "test"):
        folder = data / "phone" / split
        folder.mkdir(parents=True)
        own = [row for row in rows if row.split == split]
        # As in Kaldi, paths start where the commands run.
        audio = "".join(f"{row.id} {row.audio.relative_to(data.parent)}\n" for row in own)
        (folder / "wav.scp").write_text(audio)
        (folder / "text").write_text("".join(f"{row.id} {row.text}\n" for row in own))


def _write_csv(data: Path, rows: Sequence[Row]) -> None:
    with (data / "reading.csv").open("w", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["id", "audio_filepath", "text", "split"])
        for row in rows:
            table.writerow([row.id, row.audio.relative_to(data), row.text, row.split])
