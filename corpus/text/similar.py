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
FULL = 20
"""Texts in a bucket at most. More share only a template, and meet in other buckets."""
MOST_KEYS = 4_000_000
"""Keys that are sorted together: some 100 MB."""
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
    """MinHash signatures of texts, shape (texts, BANDS, ROWS).

    Shingles are known by their CRC-32. It is the same on every machine and in every run; Python's
    own hash is not.
    """
    # Here, because what is compiled is not wanted where texts are only made bare.
    from asr_gate.corpus.text.kernels import smallest

    found = np.zeros((len(texts), BANDS * ROWS), dtype=np.uint32)
    smallest(*as_bytes(texts), _CRC, _FACTORS, _SHIFTS, SHINGLE, found)
    return found.reshape(len(texts), BANDS, ROWS)


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
_FACTORS, _SHIFTS = np.random.default_rng(0).integers(1, 2**31, (2, BANDS * ROWS), np.uint64).astype(np.int64)
"""Of permutations of all hashes: `(factor * hash + shift) % (2**32 + 15)` (Carter and Wegman 1979).
"""


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
