"""The rows of a corpus by their place in it: what is next to what."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property

import numpy as np

from asr_gate.audit.records.pairing import Pattern, PatternKind
from asr_gate.corpus.dealt import on_disk, repeated
from asr_gate.corpus.rows import Rows, columns
from asr_gate.corpus.utterance import Corpus


class _Places(Mapping[str, int]):
    """Places of the rows of a large corpus by id, on disk."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows
        hashes = np.fromiter((hash(one) for (one,) in rows.columns("id")), np.int64, len(rows))
        order = np.argsort(hashes, kind="stable").astype(np.uint32)
        self._order, self._hashes = on_disk(order), on_disk(hashes[order])

    def __getitem__(self, identity: str) -> int:
        at = int(np.searchsorted(self._hashes, hash(identity)))
        while at < len(self._rows) and self._hashes[at] == hash(identity):
            if self._rows[int(self._order[at])].id == identity:
                return int(self._order[at])
            at += 1
        raise KeyError(identity)

    def __iter__(self) -> Iterator[str]:
        return (one for (one,) in self._rows.columns("id"))

    def __len__(self) -> int:
        return len(self._rows)


class Places:
    """The rows of a corpus by their place in it."""

    def __init__(self, corpus: Corpus) -> None:
        self.rows = corpus.utterances
        self.of: Mapping[str, int] = (
            _Places(corpus.utterances)
            if isinstance(corpus.utterances, Rows)
            else {row.id: at for at, row in enumerate(self.rows)}
        )
        self._corpus = corpus
        self._manifests: dict[str, str] = {}
        self._segmented = repeated(name for (name,) in columns(self.rows, "audio_name"))

    def number(self, identity: str) -> int | None:
        """Of a row among those of all splits, from 1; None: it is none of them."""
        at = self.of.get(identity)
        return self._others.get(identity) if at is None else at + 1

    @cached_property
    def _others(self) -> dict[str, int]:
        others = enumerate(self._corpus.others, start=len(self.rows) + 1)
        return {row.id: number for number, row in others}

    def id(self, at: int) -> str:
        return self.rows[at].id

    def manifest(self, at: int) -> str:
        origin = self.rows[at].origin.rpartition(":")[0]
        if origin not in self._manifests:
            self._manifests[origin] = self._corpus.relative_origin(origin)
        return self._manifests[origin]

    def folder(self, at: int) -> str:
        """Of the audio."""
        return posixpath.dirname(self.rows[at].audio_name)

    def recording(self, at: int) -> str | None:
        """The recording that a row is a segment of; None: it has one of its own."""
        name = self.rows[at].audio_name
        return name if hash(name) in self._segmented else None

    def neighbours(self, at: int, beside: int) -> bool:
        """Whether two rows follow on each other: of one manifest, and of one recording if that has
        several."""
        if not 0 <= beside < len(self.rows) or self.manifest(at) != self.manifest(beside):
            return False
        return self.recording(at) == self.recording(beside)

    def within(self, at: int, by: int) -> bool:
        """Whether so many rows later there is one of the same manifest."""
        other = at + by
        return 0 <= other < len(self.rows) and self.manifest(at) == self.manifest(other)

    @cached_property
    def _folders(self) -> set[str]:
        return {posixpath.dirname(name) for (name,) in columns(self.rows, "audio_name")}

    def only(self, places: Iterable[int]) -> str | None:
        """The one folder of all these rows; None: there are several, or no other in the corpus."""
        found = {self.folder(at) for at in places}
        name = next(iter(found))
        return name if len(found) == 1 and name and len(self._folders) > 1 else None


def pattern(
    kind: PatternKind,
    members: Sequence[int],
    sentence: str,
    places: Places,
    by: int | None = None,
) -> Pattern:
    """A pattern of rows by their places, whose sentence begins with their manifest."""
    manifest = places.manifest(members[0])
    return Pattern(
        kind=kind,
        manifest=manifest,
        first=places.id(members[0]),
        last=places.id(members[-1]),
        by=by,
        rows=len(members),
        sentence=f"{manifest}: {sentence}",
    )
