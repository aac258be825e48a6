"""Texts that are the same, or nearly, but for case, punctuation and a few words."""

from __future__ import annotations

import unicodedata
import zlib
from collections.abc import Iterable

SHINGLE = 5
"""Letters of the pieces that two texts are compared by; without words, so that scripts that write
none are compared the same way."""
BANDS, ROWS = 16, 4
"""Of the locality-sensitive hash: texts that share 80 % of their pieces meet with a probability of
1 - (1 - 0.8⁴)¹⁶ = 0.9998, those that share 30 % with 0.12."""
FULL = 20
"""No bucket holds more texts: what more share is a template, whose texts meet in other buckets."""
CLOSEST = 3
"""Of the texts that met, so many are compared piece by piece, the most alike first."""


def bare(text: str) -> str:
    """Letters, digits and marks alone, in one case, words apart by one space."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    kept = (c if unicodedata.category(c)[0] in "LNM" else " " for c in folded)
    return " ".join("".join(kept).split())


def groups(texts: Iterable[str], *, least: float) -> dict[str, str]:
    """For each text the first one that is like it, itself where there is none before it.

    MinHash signatures in bands find candidates (Broder 1997; Leskovec, Rajaraman and Ullman,
    *Mining of Massive Datasets*, 3.4), their pieces of five letters decide. Each text is compared
    to the first of each group alone, so that thousands of variants of one sentence cost no more
    than thousands of sentences. The same texts in the same order are grouped the same way.

    Args:
        texts: as `bare` gives them; the same text may come twice.
        least: similarity (Jaccard index of the pieces), in (0, 1].

    Returns:
        From text to the first text of its group.
    """
    import numpy as np
    from datasketch import MinHash

    different = list(dict.fromkeys(texts))
    # crc32 is the same on every machine and in every run; Python's own hash is not.
    made = MinHash.generator(map(_pieces, different), num_perm=BANDS * ROWS, hashfunc=zlib.crc32)
    signatures = np.zeros((len(different), BANDS, ROWS), dtype=np.uint32)
    buckets: dict[tuple[int, bytes], list[int]] = {}
    group: dict[str, str] = {}
    for number, (text, signature) in enumerate(zip(different, made, strict=True)):
        signatures[number] = signature.hashvalues.reshape(BANDS, ROWS)
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


def _pieces(text: str) -> set[bytes]:
    return {text[i : i + SHINGLE].encode() for i in range(max(1, len(text) - SHINGLE + 1))}


def _similarity(one: str, other: str) -> float:
    these, those = _pieces(one), _pieces(other)
    return len(these & those) / len(these | those)
