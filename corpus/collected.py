"""Rows as they are read: in memory while they are few, and with ids of their own at the end."""

from __future__ import annotations

import re
from array import array
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import chain

from asr_gate.corpus.dealt import repeated
from asr_gate.corpus.rows import IN_MEMORY, Rows, columns
from asr_gate.corpus.utterance import SkippedRow, Utterance

_NUMBERED = re.compile(r"#[0-9]+\Z")


class Collected:
    """Utterances and skipped rows in the order in which they come."""

    def __init__(self) -> None:
        self.rows: list[Utterance] | Rows = []
        self.skipped: list[SkippedRow] = []
        self._places = array("Q")
        """How many utterances come before each skipped row."""
        self._on_disk = True
        """Whether all rows so far can be kept there."""

    def __len__(self) -> int:
        return len(self.rows) + len(self.skipped)

    def add(self, row: Utterance | SkippedRow) -> None:
        """Add a row."""
        if isinstance(row, SkippedRow):
            self._places.append(len(self.rows))
            self.skipped.append(row)
            return
        self._on_disk = self._on_disk and Rows.take(row)
        if isinstance(self.rows, Rows) and not self._on_disk:
            self.rows = list(self.rows)
        self.rows.append(row)
        if isinstance(self.rows, list) and self._on_disk and len(self.rows) >= IN_MEMORY:
            rows = Rows()
            for one in self.rows:
                rows.append(one)
            self.rows = rows

    def add_utterances(self, rows: Iterable[Utterance | SkippedRow | str]) -> None:
        """Add what are utterances."""
        for row in rows:
            if isinstance(row, Utterance):
                self.add(row)

    def ids(self) -> Iterator[str]:
        """Ids of all rows, in the order in which they came."""
        places = iter(zip(self._places, self.skipped, strict=True))
        following = next(places, None)
        for number, (identity,) in enumerate(columns(self.rows, "id")):
            while following is not None and following[0] == number:
                yield following[1].id
                following = next(places, None)
            yield identity
        while following is not None:
            yield following[1].id
            following = next(places, None)

    def make_unique(self, before: Callable[[], Iterable[str]] = tuple) -> None:
        """Give rows whose id was there before another one: `#2`, `#3`, … behind it.

        Args:
            before: gives the ids of rows that come before these.
        """
        new = _renamed(self.ids, before)
        places = {at + number: number for number, at in enumerate(self._places)}
        passed = 0
        for place, identity in new.items():
            if place in places:
                number = places[place]
                self.skipped[number] = replace(self.skipped[number], id=identity)
                continue
            while passed < len(self._places) and self._places[passed] + passed < place:
                passed += 1
            number = place - passed
            if isinstance(self.rows, Rows):
                self.rows.rename(number, identity)
            else:
                self.rows[number] = replace(self.rows[number], id=identity)


def _renamed(
    ids: Callable[[], Iterable[str]], before: Callable[[], Iterable[str]]
) -> dict[int, str]:
    """New ids, by place, of those that were there before.

    Only ids of which several have one hash are kept in memory.
    """
    again = repeated(chain(before(), ids()))
    if not again:
        return {}
    # Of names that a new one could be.
    taken = {one for one in chain(before(), ids()) if _NUMBERED.search(one)}
    seen = {one for one in before() if hash(one) in again}
    numbers: dict[str, int] = {}
    found: dict[int, str] = {}
    for place, one in enumerate(ids()):
        if hash(one) not in again:
            continue
        if one in seen:
            # From where the last one stopped: a million equal ids would take for ever.
            number = numbers.get(one, 2)
            while (name := f"{one}#{number}") in taken:
                number += 1
            numbers[one] = number + 1
            taken.add(name)
            found[place] = name
        seen.add(one)
    return found
