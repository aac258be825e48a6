"""What the rules for copies share: which of several stays, within a split and between splits."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from asr_gate.corpus.rows import columns
from asr_gate.corpus.utterance import Corpus, Utterance

_HELD_OUT = (re.compile(r"test", re.IGNORECASE), re.compile(r"dev|val|eval", re.IGNORECASE))
"""Beginnings of the names of splits that are kept as they are, those of test sets first."""


class Leak(NamedTuple):
    """A row of another split that holds the same."""

    other: Utterance
    counts: bool
    """False: the other one is the one to take out, and is not judged here."""


class Splits:
    """The splits of a corpus, those that are not judged among them.

    Of copies one stays: that in a test split, else that in a development split, else that in the
    smallest split; of several there the first by id. All rules for copies go by this order, so that
    never all copies are reported.
    """

    def __init__(self, corpus: Corpus) -> None:
        self._judged: set[int] = set()
        self._sizes = Counter(
            name or ""
            for rows in (corpus.utterances, corpus.others)
            for (name,) in columns(rows, "split")
        )

    def judge(self, rows: Iterable[Utterance]) -> None:
        """Say that rows are judged. These very objects count, so keep them."""
        self._judged.update(map(id, rows))

    @property
    def several(self) -> bool:
        """Whether anything can leak."""
        return len(self._sizes) > 1

    def examples(self, same: Iterable[Utterance]) -> list[Utterance]:
        """Of rows that hold the same, one of each split, the first by id: as good as all."""
        first: dict[tuple[str, bool], Utterance] = {}
        for row in same:
            kind = split(row), id(row) in self._judged
            first[kind] = min(first.get(kind, row), row, key=lambda one: one.id)
        return list(first.values())

    def leak(self, row: Utterance, same: Iterable[Utterance]) -> Leak | None:
        """What makes a row a leak; None: nothing does.

        Of two rows the one that stays is no leak. Where the other one is not judged, it is reported
        and does not count.

        Args:
            row: any row.
            same: rows that hold the same, it or some of its split too.
        """
        if id(row) not in self._judged:
            return None
        own = self._weight(row)
        others = [other for other in same if split(other) != split(row)]
        staying = [other for other in others if self._weight(other) < own]
        unseen = [other for other in others if id(other) not in self._judged]
        found = staying or unseen
        if not found:
            return None
        return Leak(min(found, key=lambda other: (split(other), other.id)), counts=bool(staying))

    def staying(self, same: Iterable[Utterance]) -> Utterance:
        """Of copies, the one that stays."""
        return min(same, key=lambda row: (self._weight(row), row.id))

    def _weight(self, row: Utterance) -> tuple[int, int, str]:
        name = split(row)
        kind = next((n for n, held in enumerate(_HELD_OUT) if held.match(name)), len(_HELD_OUT))
        return kind, self._sizes[name], name


def split(row: Utterance) -> str:
    """The name of a row's split; rows without one are a split of their own."""
    return row.split or ""


def named(row: Utterance) -> str:
    """A row of another split, for messages."""
    return f"{row.id} of split '{row.split}'" if row.split else f"{row.id} of no split"
