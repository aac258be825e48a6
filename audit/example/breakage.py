"""Break a known share of a manifest's rows on purpose."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import TypeAlias, assert_never

import numpy as np
import soundfile

from asr_gate.audit.example.sound import FLAC, WAV, Samples, silence, write

CLIPPING_GAIN = 30.0
TRUNCATED_SHARE = 0.4
TEXTS_ADDED_WHEN_TOO_LONG = 3
"""Four transcripts on one recording: more letters than an aligner of 20 ms stride has frames."""

OTHER_SCRIPT = (
    "אתמול הלכנו לשוק וקנינו תפוחים לחם טרי וגבינה לבנה.",
    "הילדים שיחקו בגינה עד הערב ואחר כך חזרו הביתה עייפים ורעבים.",
    "סבתא שלי מכינה מרק חם בכל יום שישי וכל השכנים באים לאכול איתנו.",
    "הרכבת לחוף הים יוצאת בבוקר מוקדם ומגיעה לפני שהחום נעשה כבד.",
    "בקיץ אנחנו ישנים על הגג ומקשיבים לגלים.",
)


class Kind(StrEnum):
    """What was done to a row."""

    SWAPPED = "transcript_swapped"
    CUT = "transcript_cut"
    SILENT = "audio_silent"
    TRUNCATED = "audio_truncated"
    EMPTY_AUDIO = "audio_empty"
    CLIPPED = "audio_clipped"
    EMPTY_TEXT = "text_empty"
    OTHER_SCRIPT = "text_other_script"
    TOO_LONG = "text_too_long"
    DUPLICATE = "duplicate_row"


@dataclass(frozen=True)
class Row:
    """One manifest row."""

    id: str
    audio_filepath: str
    """Relative to the manifest."""
    text: str
    duration: float
    """Seconds."""
    domain: str
    speaker: str
    offset: float | None = None
    """Seconds into the file, where the row is a segment of a longer one."""
    synthesized: bool = True
    """Whether a program spoke it; not written to the manifest."""


Plan: TypeAlias = Mapping[str, Mapping[Kind, int]]
"""Domain to kind to how many rows; swaps count rows, so they are even."""


def break_rows(
    rows: Sequence[Row], plan: Plan, rng: np.random.Generator, folder: Path
) -> tuple[list[Row], dict[str, Kind]]:
    """The rows with `plan` carried out, and which row got what.

    Only synthesized rows that have a file of their own are touched. Broken audio is written
    beside the good audio under a name of its own.
    """
    changed = {row.id: row for row in rows}
    kinds: dict[str, Kind] = {}
    for domain, counts in plan.items():
        whole = [r for r in rows if r.domain == domain and r.synthesized and r.offset is None]
        for one, other in _alike_pairs(whole, counts.get(Kind.SWAPPED, 0) // 2, rng):
            changed[one.id] = replace(one, text=other.text)
            changed[other.id] = replace(other, text=one.text)
            kinds[one.id] = kinds[other.id] = Kind.SWAPPED
        left = [row for row in whole if row.id not in kinds]
        order = [left[i] for i in rng.permutation(len(left))]
        for kind, count in counts.items():
            if kind is Kind.SWAPPED:
                continue
            for _ in range(count):
                row = order.pop()
                # Rows are broken from the end, so those at the front stay good and can lend.
                changed[row.id] = _broken(row, kind, order[:TEXTS_ADDED_WHEN_TOO_LONG], folder)
                kinds[row.id] = kind
    return list(changed.values()), kinds


def _alike_pairs(
    rows: Sequence[Row], count: int, rng: np.random.Generator
) -> list[tuple[Row, Row]]:
    """Pairs of rows whose transcripts are of like length."""
    by_length = sorted(rows, key=lambda row: (len(row.text), row.id))
    pairs = list(zip(by_length[::2], by_length[1::2], strict=False))
    return [pairs[i] for i in rng.choice(len(pairs), count, replace=False)]


def _broken(row: Row, kind: Kind, donors: Sequence[Row], folder: Path) -> Row:
    """`row`, broken; `donors` are good rows of the same domain."""
    stem = f"audio/{row.id}-{kind.value.removeprefix('audio_')}"
    match kind:
        case Kind.CUT:
            return replace(row, text=_first_half(row.text))
        case Kind.EMPTY_TEXT:
            return replace(row, text="")
        case Kind.OTHER_SCRIPT:
            return replace(row, text=_other_script(len(row.text)))
        case Kind.TOO_LONG:
            return replace(row, text=" ".join([row.text, *(donor.text for donor in donors)]))
        case Kind.DUPLICATE:
            return replace(donors[0], id=row.id)
        case Kind.SILENT:
            path = stem + FLAC.suffix
            write(folder / path, silence(row.duration), FLAC)
            return replace(row, audio_filepath=path)
        case Kind.EMPTY_AUDIO:
            path = stem + WAV.suffix
            write(folder / path, silence(0.0), WAV)
            return replace(row, audio_filepath=path)
        case Kind.CLIPPED:
            path = stem + FLAC.suffix
            loud = np.clip(_samples(row, folder) * CLIPPING_GAIN, -1.0, 1.0)
            write(folder / path, loud, FLAC)
            return replace(row, audio_filepath=path)
        case Kind.TRUNCATED:
            path = stem + FLAC.suffix
            write(folder / path, _samples(row, folder), FLAC)
            whole = (folder / path).read_bytes()
            (folder / path).write_bytes(whole[: int(len(whole) * TRUNCATED_SHARE)])
            return replace(row, audio_filepath=path)
        case Kind.SWAPPED:
            raise ValueError("a swap takes two rows")
        case _:
            assert_never(kind)


def _samples(row: Row, folder: Path) -> Samples:
    samples: Samples = soundfile.read(folder / row.audio_filepath, dtype="float32")[0]
    return samples


def _first_half(text: str) -> str:
    """The leading words that make up at most half of the letters."""
    words = text.split()
    while len(words) > 1 and len(" ".join(words)) > len(text) / 2:
        words.pop()
    return " ".join(words)


def _other_script(length: int) -> str:
    """Hebrew sentences of about `length` letters."""
    text = OTHER_SCRIPT[0]
    repeats = 1
    while len(text) < length * 0.8:
        text += " " + OTHER_SCRIPT[repeats % len(OTHER_SCRIPT)]
        repeats += 1
    return text
