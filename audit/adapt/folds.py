"""Divides a sample into folds, each of which is judged by a model that never heard its like."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from asr_gate.corpus.errors import UserError
from asr_gate.corpus.utterance import Seconds, Utterance

FOLDS = 3
LARGEST = 0.6
"""Most of the audio that one speaker may have where folds are by speaker."""

Kind = Literal["speaker", "recording"]


@dataclass(frozen=True)
class Folds:
    """Which rows are judged together."""

    by: Kind
    """What no two folds share."""
    of: Mapping[str, int]
    """Number of the fold, by utterance id."""
    texts: Mapping[str, str]
    """Each row's text as it is compared, by utterance id."""

    @property
    def count(self) -> int:
        """How many there are."""
        return len(set(self.of.values()))

    def teachers(self, fold: int, trusted: Sequence[str]) -> list[str]:
        """Those of the trusted rows that a fold's model may learn from: of other folds, and with a
        text that no row of this fold has."""
        said = {self.texts[id] for id, number in self.of.items() if number == fold}
        return [id for id in trusted if self.of[id] != fold and self.texts[id] not in said]


def divide(rows: Sequence[Utterance], lengths: Mapping[str, Seconds]) -> Folds:
    """Divide rows by speaker; where one speaker has nearly all, by recording.

    Rows of one recording are never parted; nor are those of one speaker, in folds by speaker.

    Args:
        rows: the sample.
        lengths: of the rows, by id.

    Raises:
        UserError: all rows are of one recording.
    """
    kinds: tuple[tuple[Kind, float], ...] = (("speaker", LARGEST), ("recording", 1.0))
    for by, largest in kinds:
        groups = _groups(rows, speakers=by == "speaker")
        seconds = [sum(lengths[row.id] for row in group) for group in groups]
        if len(groups) > 1 and max(seconds) <= largest * sum(seconds):
            break
    else:
        raise UserError(
            "--adapt needs rows of two recordings or more, so that none is judged by a model that "
            "has heard it; leave out --adapt"
        )
    load = [0.0] * min(FOLDS, len(groups))
    number: dict[str, int] = {}
    order = sorted(zip(seconds, groups, strict=True), key=lambda one: (-one[0], one[1][0].id))
    for length, group in order:
        fold = load.index(min(load))
        load[fold] += length
        number |= {row.id: fold for row in group}
    texts = {row.id: _compared(row.text) for row in rows}
    return Folds(by, number, texts)


def _groups(rows: Sequence[Utterance], *, speakers: bool) -> list[list[Utterance]]:
    """Rows that share a recording, or also a speaker, directly or by others between them."""
    parent: dict[tuple[str, str], tuple[str, str]] = {}

    def root(key: tuple[str, str]) -> tuple[str, str]:
        while (above := parent.setdefault(key, key)) != key:
            key = above
        return key

    for row in rows:
        if speakers and row.speaker:
            parent[root(_recording(row))] = root(("speaker", row.speaker))
    found: dict[tuple[str, str], list[Utterance]] = {}
    for row in sorted(rows, key=lambda row: row.id):
        found.setdefault(root(_recording(row)), []).append(row)
    return list(found.values())


def _recording(row: Utterance) -> tuple[str, str]:
    place = str(row.audio) if isinstance(row.audio, Path) else row.audio_name
    return "recording", place


def _compared(text: str) -> str:
    """Letters and digits alone: the same words are the same text, however they are written."""
    return " ".join("".join(filter(str.isalnum, word)) for word in text.casefold().split())
