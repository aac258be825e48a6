"""Near-duplicate texts: equal but for case, punctuation and a few words."""

from __future__ import annotations

import tempfile
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import IO

import numpy as np
from numpy.typing import NDArray

from asr_gate.corpus.dealt import big_file_folder

SHINGLE = 5
"""Letters in a shingle. Shingles of letters also suit scripts that write no spaces."""
BANDS, ROWS = 16, 4
"""Size of the locality-sensitive hash. Texts that share 80 % of their shingles are compared with a
probability of 1 - (1 - 0.8⁴)¹⁶ = 0.9998, texts that share 30 % with 0.12."""
FULL = 20
"""Texts in a bucket at most. More share only a template, and meet in other buckets."""
MOST_KEYS = 8_000_000
"""Keys that are sorted together: some 200 MB."""
AT_ONCE = 500_000
"""Keys, or rows of sketches, that are read together."""
SKETCH = 5
"""Numbers of a sketch: 256 bits, and how many shingles there are."""
MOST_MET = 100
"""Texts of one key that are held against each other."""
ROUNDED = 1e-9
"""More than what a share is rounded by."""
_MIX = np.array([0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F], np.uint64)
CLOSEST = 3
"""Candidates that are compared by their shingles, those with the most similar signatures first."""


def bare(text: str) -> str:
    """Letters, digits and marks alone, in one case, words apart by one space."""
    if text.isascii():  # most texts are, in most languages with Latin letters
        return b" ".join(text.encode().translate(_KEPT_ASCII).split()).decode()
    folded = unicodedata.normalize("NFKC", text).casefold()
    return " ".join(folded.translate(_KEPT).split())


class _Kept(dict[int, str]):
    """What becomes of a character, by its number: filled as they come."""

    def __missing__(self, number: int) -> str:
        char = chr(number)
        self[number] = char if unicodedata.category(char)[0] in "LNM" else " "
        return self[number]


_KEPT = _Kept()
_KEPT_ASCII = bytes(ord(_KEPT[ord(chr(byte).casefold())]) for byte in range(128)) + bytes(128)


def groups(texts: Iterable[str], *, least: float) -> dict[str, str]:
    """For each text the first one that is like it, itself where there is none before it.

    MinHash signatures in bands find candidates (Broder 1997; Leskovec, Rajaraman and Ullman,
    *Mining of Massive Datasets*, 3.4), their shingles of five letters decide. A text is compared
    only to the first of each group, so that thousands of variants of one sentence cost no more
    than thousands of sentences. The same texts in the same order are grouped the same way.

    Args:
        texts: as `bare` gives them; the same text may come twice.
        least: similarity (Jaccard index of the shingles), in (0, 1].

    Returns:
        From text to the first text of its group.
    """
    different = list(dict.fromkeys(texts))
    signatures = signatures_of(different)
    # Most bands are of one text alone, which meets no other one there.
    again = _come_again(signatures)
    buckets: dict[tuple[int, bytes], list[int]] = {}
    group: dict[str, str] = {}
    for number, text in enumerate(different):
        bands = [
            buckets.setdefault((band, signatures[number, band].tobytes()), [])
            for band in np.flatnonzero(again[number]).tolist()
        ]
        met = np.array(sorted(set().union(*bands)), dtype=np.int64)
        alike = (signatures[met] == signatures[number]).sum(axis=(1, 2))
        closest = [different[m] for m in met[np.argsort(-alike, kind="stable")[:CLOSEST]]]
        first = next((other for other in closest if _similarity(other, text) >= least), None)
        if first is None:
            for bucket in bands:
                if len(bucket) < FULL:
                    bucket.append(number)
        group[text] = text if first is None else first
    return group


def _come_again(signatures: NDArray[np.uint32]) -> NDArray[np.bool_]:
    """Which bands of which texts others have, too, shape (texts, BANDS)."""
    found = np.zeros(signatures.shape[:2], np.bool_)
    for band in range(BANDS):
        # In an order in which what is equal stands together.
        order = np.lexsort(signatures[:, band].T)
        same = (signatures[order[1:], band] == signatures[order[:-1], band]).all(axis=1)
        found[order[1:], band] |= same
        found[order[:-1], band] |= same
    return found


def signatures_of(texts: Sequence[str]) -> NDArray[np.uint32]:
    """MinHash signatures of texts, shape (texts, BANDS, ROWS).

    Shingles are known by their CRC-32. It is the same on every machine and in every run; Python's
    own hash is not.
    """
    return _signed(texts)[0]


def _signed(texts: Sequence[str]) -> tuple[NDArray[np.uint32], NDArray[np.uint64]]:
    """Signatures of texts, and their sketches, shape (texts, 5)."""
    # Here, because what is compiled is not wanted where texts are only made bare.
    from asr_gate.corpus.text.kernels import smallest

    found = np.zeros((len(texts), BANDS * ROWS), dtype=np.uint32)
    sketches = np.zeros((len(texts), SKETCH), np.uint64)
    smallest(*as_bytes(texts), _CRC, _FACTORS, _SHIFTS, SHINGLE, found, sketches)
    return found.reshape(len(texts), BANDS, ROWS), sketches


def as_bytes(texts: Sequence[str]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Texts as UTF-8, one after the other, and where each ends."""
    joined = "".join(texts)
    written = joined.encode(errors="surrogatepass")
    sizes: Iterable[int] = map(len, texts)
    if len(written) > len(joined):
        sizes = (len(text.encode(errors="surrogatepass")) for text in texts)
    ends = np.cumsum(np.fromiter(sizes, np.int64, len(texts)))
    return np.frombuffer(written, np.uint8), ends


def _crc_table() -> NDArray[np.uint32]:
    """Of zlib's CRC-32, a byte at a time."""
    table = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        table = np.where(table & 1, table >> 1 ^ np.uint32(0xEDB88320), table >> 1)
    return table


_CRC = _crc_table()
_DRAWN = np.random.default_rng(0).integers(1, 2**31, (2, BANDS * ROWS), np.uint64)
_FACTORS, _SHIFTS = _DRAWN.astype(np.int64)
"""Of permutations of all hashes: `(factor * hash + shift) % (2**32 + 15)` (Carter and Wegman 1979).
"""


def keys_of(texts: Sequence[str]) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """What texts that are alike may share, shape (texts, BANDS), and their sketches.

    Two are compared by `groups` only if they share a key. Sketches tell how alike two texts can be
    at most, shape (texts, SKETCH).
    """
    signatures, sketches = _signed(texts)
    halves: NDArray[np.uint64] = signatures.view(np.uint64)
    mixed = halves[:, :, 0] * _MIX[0] + np.arange(BANDS, dtype=np.uint64)
    mixed = (mixed ^ mixed >> np.uint64(29)) * _MIX[1] + halves[:, :, 1]
    mixed = (mixed ^ mixed >> np.uint64(32)) * _MIX[0]
    return mixed ^ mixed >> np.uint64(29), sketches


def with_company(
    blocks: Iterable[tuple[NDArray[np.uint64], NDArray[np.uint64]]],
    least: float,
    most: int = MOST_KEYS,
) -> NDArray[np.bool_]:
    """Which rows share a key with another row that they may be like, of however many.

    Keys and sketches lie on disk meanwhile.

    Args:
        blocks: some rows at a time: keys, shape (rows, keys), of which the first one is shared by
            what is the same; and sketches.
        least: similarity of texts that are alike, as for `groups`.
        most: keys that are sorted together.
    """
    width = count = 0
    with (
        tempfile.TemporaryFile(dir=big_file_folder()) as file,
        tempfile.TemporaryFile(dir=big_file_folder()) as sketches,
    ):
        for keys, sketched in blocks:
            width = keys.shape[1]
            count += len(keys)
            file.write(np.ascontiguousarray(keys).data)
            sketches.write(np.ascontiguousarray(sketched).data)
        found = np.zeros(count, np.bool_)
        passes = -(-count * width // most)
        for number in range(passes):
            # Keys are as good as random, so that each part has about as many.
            parts = []
            begin = 0
            for some in _read(file, AT_ONCE):
                at = np.flatnonzero(some % np.uint64(passes) == number)
                parts.append((some[at], begin + at))
                begin += len(some)
            keys, places = (np.concatenate(one) for one in zip(*parts, strict=True))
            del parts
            _mark(keys, places, width, sketches, least, found)
    return found


def _mark(
    keys: NDArray[np.uint64],
    places: NDArray[np.int64],
    width: int,
    sketches: IO[bytes],
    least: float,
    found: NDArray[np.bool_],
) -> None:
    """Mark the rows of some keys that share one with a row that they may be like."""
    from asr_gate.corpus.text.kernels import mark_alike

    order = np.argsort(keys, kind="stable")
    keys, places = keys[order], places[order]
    again = keys[1:] == keys[:-1]
    shared = np.zeros(len(keys), np.bool_)
    shared[1:] = again
    shared[:-1] |= again
    keys, places = keys[shared], places[shared]
    if not len(keys):
        return
    starts = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]]))
    ends = np.append(starts[1:], len(keys))
    rows = places // width
    wanted = np.unique(rows)
    edges = np.searchsorted(wanted, np.arange(0, len(found) + AT_ONCE, AT_ONCE))
    here = [
        block.reshape(-1, SKETCH)[wanted[start:end] - number * AT_ONCE]
        for number, (block, (start, end)) in enumerate(
            zip(_read(sketches, AT_ONCE * SKETCH), pairwise(edges), strict=True)
        )
    ]
    mark_alike(
        *(starts, ends, places[starts] % width == 0, rows, np.searchsorted(wanted, rows)),
        *(np.concatenate(here), (1 - least) / (1 + least) + ROUNDED, MOST_MET, found),
    )


def _read(file: IO[bytes], many: int) -> Iterator[NDArray[np.uint64]]:
    """A file of numbers from its start, so many at a time."""
    file.seek(0)
    while stored := file.read(8 * many):
        yield np.frombuffer(stored, np.uint64)


def _shingles(text: str) -> set[bytes]:
    return {text[i : i + SHINGLE].encode() for i in range(max(1, len(text) - SHINGLE + 1))}


def _similarity(one: str, other: str) -> float:
    these, those = _shingles(one), _shingles(other)
    return len(these & those) / len(these | those)
