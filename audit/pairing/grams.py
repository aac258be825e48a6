"""Texts by their character trigrams, on disk: which texts each of them is in.

A search engine does it too, and takes several times as long to write: most of its work, scores by
how often a trigram comes in a text, adds nothing to texts as short as these. A trigram is known by
32 bits, so that any script will do; two that share them are too rare to matter.
"""

from __future__ import annotations

import marshal
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from asr_gate.corpus.text.similar import as_bytes

GRAM = 3
CODE_BITS = np.uint64(21)
"""Of a character's number."""
MIX = np.uint64(0x9E3779B97F4A7C15)
"""An odd factor that mixes bits (Fibonacci hashing; Knuth, *The Art of Computer Programming*, 6.4).
"""
HALF = np.uint64(32)
SMALL = 2**16
"""Texts whose numbers fit into 16 bits."""
STEEP, BY_LENGTH = 1.2, 0.75
"""BM25's k1 and b, as they are usually set (Robertson and Zaragoza, 2009)."""
PLAIN = 2
"""Version of marshal's format that does not look for objects that come again."""
ARRAYS = ("keys", "grams", "starts", "texts_of", "sizes", "records", "ends")

Array = NDArray[Any]


class Record(NamedTuple):
    """A text in a table."""

    key: int
    folded: str
    """As it is compared."""
    lang: str
    """Empty: not known."""
    text: str
    """As it is written."""


@dataclass
class Records:
    """Texts that become a table, each part of them in a list of its own."""

    keys: list[int] = field(default_factory=list)
    folded: list[str] = field(default_factory=list)
    langs: list[str] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)

    def add(self, key: int, folded: str, lang: str, text: str) -> None:
        """Append one text; of its language, what stands before a null."""
        self.keys.append(key)
        self.folded.append(folded)
        self.langs.append(lang.partition("\0")[0])
        self.texts.append(text)

    def store(self, file: IO[bytes]) -> None:
        """Write all of it."""
        stored = marshal.dumps((self.keys, self.folded, self.langs, self.texts), PLAIN)
        file.write(len(stored).to_bytes(8) + stored)

    def extend(self, file: IO[bytes]) -> None:
        """Append all that `store` wrote.

        Args:
            file: in a folder that nobody else may write to.
        """
        while size := file.read(8):
            stored = file.read(int.from_bytes(size))
            keys, folded, langs, texts = marshal.loads(stored)  # noqa: S302  (our own)
            self.keys += keys
            self.folded += folded
            self.langs += langs
            self.texts += texts


class GramTable:
    """Texts of which the same number of trigrams is read, however many there are of them."""

    def __init__(self, folder: Path) -> None:
        """Open what `write_table` wrote; its files are mapped.

        Raises:
            OSError, ValueError: they are not there, or are no such files.
        """
        opened = {
            name: np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False)
            for name in ARRAYS
        }
        self._keys, self._grams = opened["keys"], opened["grams"]
        self._starts, self._texts_of = opened["starts"], opened["texts_of"]
        self._records, self._ends = opened["records"], opened["ends"]
        self._sizes = opened["sizes"]
        self.read = int(self._sizes.sum(dtype=np.int64))
        """Trigrams of all texts."""

    def __len__(self) -> int:
        return len(self._keys)

    def places(self, grams: Array) -> tuple[Array, Array]:
        """Where the numbers of the texts with each trigram begin and end, shape `(grams,)` each."""
        if not len(self._grams):
            return np.zeros(len(grams), np.int64), np.zeros(len(grams), np.int64)
        at = np.minimum(np.searchsorted(self._grams, grams), len(self._grams) - 1)
        there = self._grams[at] == grams
        return np.where(there, self._starts[at], 0), np.where(there, self._starts[at + 1], 0)

    def divisors(self, usual: float) -> Array:
        """What long texts are the worse for, shape `(texts,)`.

        Args:
            usual: trigrams of a text, the mean.
        """
        length = (1 - BY_LENGTH) + BY_LENGTH * self._sizes / max(usual, 1e-9)
        divisors: Array = (1 + STEEP * length).astype(np.float32)
        return divisors

    def scores(self, starts: Array, ends: Array, weights: Array, divisors: Array) -> Array:
        """BM25 of every text, each trigram of it counted once, shape `(texts,)`.

        Args:
            starts, ends: of `places`.
            weights: of each trigram, shape `(grams,)`.
            divisors: of `divisors`.
        """
        found = np.zeros(len(self), np.float32)
        for start, end, weight in zip(starts.tolist(), ends.tolist(), weights, strict=True):
            # A text comes once in the list of a trigram.
            found[self._texts_of[start:end]] += weight
        scores: Array = found / divisors
        return scores

    def record(self, number: int) -> Record:
        """One text."""
        start = int(self._ends[number - 1]) if number else 0
        record = bytes(self._records[start : self._ends[number]])
        folded, lang, text = record.decode("utf-8", "surrogatepass").split("\0", 2)
        return Record(int(self._keys[number]), folded, lang, text)


def write_table(folder: Path, records: Records) -> None:
    """Write texts as a table, to be opened as `GramTable`; of those with one key, the first.

    Args:
        folder: an empty one.
        records: the texts; none of them is empty when it is folded.
    """
    keys = np.array(records.keys, np.uint64)
    order = np.argsort(keys, kind="stable")
    keys = keys[order]
    first = np.concatenate([np.ones(min(1, len(keys)), np.bool_), keys[1:] != keys[:-1]])
    keys, places = keys[first], order[first].tolist()
    folded = [records.folded[at] for at in places]
    known, starts, texts_of, sizes = _inverted(folded)
    written = (records.langs[at] + "\0" + records.texts[at] for at in places)
    joined = [one + "\0" + other for one, other in zip(folded, written, strict=True)]
    data, ends = as_bytes(joined)
    arrays = {
        "keys": keys,
        "grams": known,
        "starts": starts,
        "texts_of": texts_of,
        "sizes": sizes,
        "records": data,
        "ends": ends.astype(np.uint64),
    }
    for name in ARRAYS:
        np.save(folder / f"{name}.npy", arrays[name], allow_pickle=False)


def grams_of(text: str) -> Array:
    """The trigrams of one text, each once, in order, shape `(grams,)`."""
    return np.unique(_hashed(_codes(text)).astype(np.uint32))


def _codes(text: str) -> Array:
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32).astype(np.uint64)


def _hashed(codes: Array) -> Array:
    """The trigram that begins at each character, as 32 bits of 64, shape `(characters - 2,)`."""
    if len(codes) < GRAM:
        return np.zeros(0, np.uint64)
    exact = (codes[:-2] << (2 * CODE_BITS)) | (codes[1:-1] << CODE_BITS) | codes[2:]
    return (exact * MIX) >> HALF


def _inverted(texts: Sequence[str]) -> tuple[Array, Array, Array, Array]:
    """All trigrams, where each one's texts begin, these, and how many trigrams each text has."""
    # Here, because a report is read without what is compiled.
    from asr_gate.audit.pairing.kernels import pairs_in_order

    ends = np.cumsum([len(text) for text in texts], dtype=np.int64)
    codes = np.frombuffer("".join(texts).encode("utf-32-le", "surrogatepass"), np.uint32)
    room = np.empty((2, len(codes)), np.uint64)
    number, in_first = pairs_in_order(codes, ends, MIX, *room)
    pairs = room[0 if in_first else 1, :number]
    grams = (pairs >> HALF).astype(np.uint32)
    texts_of = pairs.astype(np.uint32)  # the lower half
    changes = np.flatnonzero(grams[1:] != grams[:-1]) + 1
    starts = np.concatenate([[0], changes, [len(grams)]] if len(grams) else [[0]]).astype(np.uint32)
    sizes = np.bincount(texts_of, minlength=len(texts)).astype(np.uint32)
    if len(texts) <= SMALL:
        texts_of = texts_of.astype(np.uint16)
    return grams[starts[:-1]], starts, texts_of, sizes
