"""Near-duplicate texts: equal but for case, punctuation and a few words."""

from __future__ import annotations

import unicodedata
import zlib
from collections.abc import Iterable

import numpy as np

SHINGLE = 5
"""Letters in a shingle. Shingles of letters also suit scripts that write no spaces."""
BANDS, ROWS = 16, 4
"""Size of the locality-sensitive hash. Texts that share 80 % of their shingles are compared with a
probability of 1 - (1 - 0.8⁴)¹⁶ = 0.9998, texts that share 30 % with 0.12."""
PRIME = np.uint64(2**32 + 15)
"""Above all hashes: `(factor * hash + shift) % PRIME` permutes them (Carter and Wegman 1979)."""
FULL = 20
"""Texts in a bucket at most. More share only a template, and meet in other buckets."""
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
    factors, shifts = np.random.default_rng(0).integers(1, 2**31, (2, BANDS * ROWS), np.uint64)
    signatures = np.zeros((len(different), BANDS, ROWS), dtype=np.uint32)
    buckets: dict[tuple[int, bytes], list[int]] = {}
    group: dict[str, str] = {}
    for number, text in enumerate(different):
        # crc32 is the same on every machine and in every run; Python's own hash is not.
        hashes = np.array([zlib.crc32(shingle) for shingle in _shingles(text)], dtype=np.uint64)
        permuted = (hashes[:, None] * factors + shifts) % PRIME
        signatures[number] = permuted.min(axis=0).reshape(BANDS, ROWS)
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


def _shingles(text: str) -> set[bytes]:
    return {text[i : i + SHINGLE].encode() for i in range(max(1, len(text) - SHINGLE + 1))}


def _similarity(one: str, other: str) -> float:
    these, those = _shingles(one), _shingles(other)
    return len(these & those) / len(these | those)
