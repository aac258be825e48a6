"""Sorts the trigrams of texts, compiled by numba."""

from __future__ import annotations

import numpy as np

from asr_gate.corpus.compiled import compiled

DIGIT = 11
"""Bits that are sorted at a time."""


@compiled
def pairs_in_order(codes, ends, mix, pairs, spare):
    """Each trigram of each text once, by trigram and then by text.

    A radix sort by the trigrams alone, since texts come in their order.

    Args:
        codes: characters of all texts, one text after the other.
        ends: where each text ends.
        mix: the factor that mixes bits.
        pairs, spare: room for as many pairs as there are characters.

    Returns:
        How many pairs there are; they are in `pairs` if the last one is true, or else in `spare`.
    """
    bins = 1 << DIGIT
    passes = (32 + DIGIT - 1) // DIGIT
    counts = np.zeros((passes, bins), np.int64)
    number = 0
    start = 0
    for text in range(len(ends)):
        for at in range(start, ends[text] - 2):
            exact = (
                (np.uint64(codes[at]) << np.uint64(42))
                | (np.uint64(codes[at + 1]) << np.uint64(21))
                | np.uint64(codes[at + 2])
            )
            hashed = (exact * mix) >> np.uint64(32)
            pairs[number] = (hashed << np.uint64(32)) | np.uint64(text)
            number += 1
            for one in range(passes):
                counts[one, (hashed >> np.uint64(one * DIGIT)) & np.uint64(bins - 1)] += 1
        start = ends[text]
    first = True
    for one in range(passes):
        begin = 0
        for value in range(bins):
            begin, counts[one, value] = begin + counts[one, value], begin
        shift = np.uint64(32 + one * DIGIT)
        old, new = (pairs, spare) if first else (spare, pairs)
        for at in range(number):
            value = (old[at] >> shift) & np.uint64(bins - 1)
            new[counts[one, value]] = old[at]
            counts[one, value] += 1
        first = not first
    found = pairs if first else spare
    kept = 0
    for at in range(number):
        if at == 0 or found[at] != found[at - 1]:
            found[kept] = found[at]
            kept += 1
    return kept, first
