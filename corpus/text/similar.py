"""Near-duplicate texts: equal but for case, punctuation and a few words."""

from __future__ import annotations

import tempfile
import unicodedata
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from asr_gate.corpus.dealt import big_file_folder

SHINGLE = 5
"""Letters in a shingle. Shingles of letters also suit scripts that write no spaces."""
BANDS, ROWS = 16, 4
"""Size of the locality-sensitive hash. Texts that share 80 % of their shingles are compared with a
probability of 1 - (1 - 0.8⁴)¹⁶ = 0.9998, texts that share 30 % with 0.12."""
PRIME = np.uint64(2**32 + 15)
"""Above all hashes: `(factor * hash + shift) % PRIME` permutes them (Carter and Wegman 1979)."""
FULL = 20
"""Texts in a bucket at most. More share only a template, and meet in other buckets."""
AT_ONCE = 32
"""Texts whose shingles are permuted together: what fits a cache."""
MOST_KEYS = 4_000_000
"""Keys that are sorted together: some 100 MB."""
_MIX = np.array([0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F], np.uint64)
CLOSEST = 3
"""Candidates that are compared by their shingles, those with the most similar signatures first."""


def bare(text: str) -> str:
    """Letters, digits and marks alone, in one case, words apart by one space."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return " ".join(folded.translate(_KEPT).split())


class _Kept(dict[int, str]):
    """What becomes of a character, by its number: filled as they come."""

    def __missing__(self, number: int) -> str:
        char = chr(number)
        self[number] = char if unicodedata.category(char)[0] in "LNM" else " "
        return self[number]


_KEPT = _Kept()


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
    buckets: dict[tuple[int, bytes], list[int]] = {}
    group: dict[str, str] = {}
    for number, text in enumerate(different):
        bands = [
            buckets.setdefault((band, signatures[number, band].tobytes()), [])
            for band in range(BANDS)
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


def signatures_of(texts: Sequence[str]) -> NDArray[np.uint32]:
    """MinHash signatures of texts, shape (texts, BANDS, ROWS)."""
    factors, shifts = np.random.default_rng(0).integers(1, 2**31, (2, BANDS * ROWS), np.uint64)
    found = np.zeros((len(texts), BANDS * ROWS), dtype=np.uint32)
    for start in range(0, len(texts), AT_ONCE):
        hashes, firsts = _hashes(texts[start : start + AT_ONCE])
        permuted = hashes[:, None] * factors + shifts
        permuted -= permuted // PRIME * PRIME  # the rest of the division, in half the time
        found[start : start + len(firsts)] = np.minimum.reduceat(permuted, firsts)
    return found.reshape(len(texts), BANDS, ROWS)


def _hashes(texts: Sequence[str]) -> tuple[NDArray[np.uint64], NDArray[np.intp]]:
    """CRC-32 of all shingles of some texts, one text after the other, and where each begins.

    It is the same on every machine and in every run; Python's own hash is not.
    """
    written = [text.encode() for text in texts]
    data = np.frombuffer(b"".join(written) + b"\0", np.uint8)
    # The bytes of UTF-8 that begin a letter, and the end of all.
    letters = np.flatnonzero(data & 0xC0 != 0x80)
    lengths = np.array([len(text) for text in texts])
    numbers = np.maximum(1, lengths - SHINGLE + 1)
    firsts = np.cumsum(numbers) - numbers
    own = np.repeat(np.arange(len(texts)), numbers)
    at = np.arange(len(own)) - firsts[own] + (np.cumsum(lengths) - lengths)[own]
    starts = letters[at]
    sizes = letters[at + np.minimum(SHINGLE, lengths)[own]] - starts
    crc = np.full(len(own), 0xFFFFFFFF, np.uint32)
    for number in range(int(sizes.max())):
        here = np.flatnonzero(sizes > number)
        old = crc[here]
        crc[here] = _CRC[(old ^ data[starts[here] + number]) & 0xFF] ^ (old >> 8)
    return (~crc).astype(np.uint64), firsts


def _crc_table() -> NDArray[np.uint32]:
    """Of zlib's CRC-32, a byte at a time."""
    table = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        table = np.where(table & 1, table >> 1 ^ np.uint32(0xEDB88320), table >> 1)
    return table


_CRC = _crc_table()


def keys_of(texts: Sequence[str]) -> NDArray[np.uint64]:
    """What texts that are alike may share, shape (texts, BANDS): texts that share none are apart.

    Two are compared by `groups` only if they share one.
    """
    halves: NDArray[np.uint64] = signatures_of(texts).view(np.uint64)
    mixed = halves[:, :, 0] * _MIX[0] + np.arange(BANDS, dtype=np.uint64)
    mixed = (mixed ^ mixed >> np.uint64(29)) * _MIX[1] + halves[:, :, 1]
    mixed = (mixed ^ mixed >> np.uint64(32)) * _MIX[0]
    found: NDArray[np.uint64] = mixed ^ mixed >> np.uint64(29)
    return found


def with_company(blocks: Iterable[NDArray[np.uint64]], most: int = MOST_KEYS) -> NDArray[np.bool_]:
    """Which rows share a key with another row, of however many; keys lie on disk meanwhile.

    Args:
        blocks: keys of the rows, some rows at a time, shape (rows, keys).
        most: keys that are sorted together.
    """
    width = count = 0
    with tempfile.TemporaryFile(dir=big_file_folder()) as file:
        for block in blocks:
            width = block.shape[1]
            count += len(block)
            file.write(np.ascontiguousarray(block).data)
        file.flush()
        found = np.zeros(count, np.bool_)
        passes = -(-count * width // most)
        for number in range(passes):
            # Keys are as good as random, so that each part has about as many.
            parts = []
            file.seek(0)
            begin = 0
            while len(some := np.fromfile(file, np.uint64, most)):
                at = np.flatnonzero(some % np.uint64(passes) == number)
                parts.append((some[at], begin + at))
                begin += len(some)
            keys, places = (np.concatenate(one) for one in zip(*parts, strict=True))
            order = np.argsort(keys, kind="stable")
            same = keys[order[1:]] == keys[order[:-1]]
            found[places[order[1:][same]] // width] = True
            found[places[order[:-1][same]] // width] = True
    return found


def _shingles(text: str) -> set[bytes]:
    return {text[i : i + SHINGLE].encode() for i in range(max(1, len(text) - SHINGLE + 1))}


def _similarity(one: str, other: str) -> float:
    these, those = _shingles(one), _shingles(other)
    return len(these & those) / len(these | those)
