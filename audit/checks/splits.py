"""What the rules for leaks between splits share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from asr_gate.corpus.utterance import Corpus, Utterance


class Splits:
    """The splits of a corpus, those that are not judged among them."""

    def __init__(self, corpus: Corpus) -> None:
        self._judged = {id(u) for u in corpus.utterances}
        self.rows = [*corpus.utterances, *corpus.others]
        self._sizes = Counter(split(u) for u in self.rows)

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

    def leak(self, row: Utterance, same: Iterable[Utterance]) -> Utterance | None:
        """A row of another split that makes this one a leak; None: there is none.

        Of two rows the one in the larger split is the leak, since test sets are kept as they are;
        where that one is not judged, the other is.

        Args:
            row: any row.
            same: rows that hold the same, it or some of its split too.
        """
        if id(row) not in self._judged:
            return None
        own = self._weight(row)
        found = [
            other
            for other in same
            if split(other) != split(row)
            and (id(other) not in self._judged or self._weight(other) < own)
        ]
        return min(found, key=lambda other: (split(other), other.id)) if found else None

    def _weight(self, row: Utterance) -> tuple[int, str]:
        return self._sizes[split(row)], split(row)


def split(row: Utterance) -> str:
    """The name of a row's split; rows without one are a split of their own."""
    return row.split or ""


def named(row: Utterance) -> str:
    """A row of another split, for messages."""
    return f"{row.id} of split '{row.split}'" if row.split else f"{row.id} of no split"
