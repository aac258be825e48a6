"""What a corpus is, before anybody listens to it: rows, hours, languages, splits, domains."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from asr_gate.corpus.text.language import primary_code
from asr_gate.corpus.utterance import Corpus, Seconds, Utterance

MOST_FOLDERS = 12
"""Folders of audio that may be domains; more are speakers or sessions."""
MEASURED = 1000
"""Recordings whose length is looked up where the manifest says none."""


@dataclass(frozen=True)
class Overview:
    """A corpus in figures; counts are by value, the most frequent first."""

    rows: int
    skipped: int
    hours: float | None
    """None: no length could be told. Estimated from some rows if the manifest says none."""
    languages: dict[str, int]
    """By ISO 639 code; rows that name none are left out."""
    guessed: str | None
    """Code of the language that the texts look like, where no row names one."""
    splits: dict[str, int]
    domains: dict[str, int]
    folders: dict[str, int]
    """By the first folder of the audio that not all rows share, as manifests write it; empty if it
    tells nothing."""


def overview(corpus: Corpus) -> Overview:
    """Look at every row, and at the header of some recordings."""
    rows = corpus.utterances
    languages = Counter(primary_code(row.lang) or row.lang for row in rows if row.lang)
    return Overview(
        rows=len(rows),
        skipped=len(corpus.skipped),
        hours=_hours(rows),
        languages=_counted(languages),
        guessed=None if languages else _guessed(rows),
        splits=_counted(Counter(row.split for row in rows if row.split)),
        domains=_counted(Counter(row.domain for row in rows)),
        folders=_folders(rows),
    )


def _hours(rows: Sequence[Utterance]) -> float | None:
    from asr_gate.corpus.speech.audio import stored_duration

    known = [row.duration for row in rows if row.duration is not None]
    silent = [row for row in rows if row.duration is None]
    step = max(1, len(silent) // MEASURED)
    looked: list[Seconds] = [s for row in silent[::step] if (s := stored_duration(row)) is not None]
    if not known and not looked:
        return None
    rest = len(silent) * sum(looked) / len(looked) if looked else 0.0
    return (sum(known) + rest) / 3600


def _guessed(rows: Sequence[Utterance]) -> str | None:
    from asr_gate.corpus.text.identification import likely_language

    return likely_language(" ".join(row.text for row in rows[:: max(1, len(rows) // 200)]))


def _folders(rows: Sequence[Utterance]) -> dict[str, int]:
    """Of `corpus/calls/1.wav` and `corpus/studio/2.wav`: `calls` and `studio`."""
    pairs = [
        (Path(row.audio_name).parts[:-1], row.audio.absolute().parts[:-1])
        for row in rows
        if isinstance(row.audio, Path)
    ]
    if not pairs or len(pairs) < len(rows):
        return {}
    # Manifests in several folders write their paths from different places.
    ends = all(written == real[len(real) - len(written) :] for written, real in pairs)
    paths = [real if ends else written for written, real in pairs]
    shared = 0
    while all(len(p) > shared for p in paths) and len({p[shared] for p in paths}) == 1:
        shared += 1
    several = len({p[shared] for p in paths if len(p) > shared})
    below = [len(path) - shared - 1 for path in paths]
    named = all(len(written) > n >= 0 for (written, _), n in zip(pairs, below, strict=True))
    if not named or not 2 <= several <= MOST_FOLDERS:
        return {}
    folders = (
        Path(*written[: len(written) - n]) for (written, _), n in zip(pairs, below, strict=True)
    )
    return _counted(Counter(map(str, folders)))


def _counted(found: Counter[str]) -> dict[str, int]:
    return dict(found.most_common())
