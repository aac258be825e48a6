"""Inner loops over the texts of a large corpus, compiled by numba.

Texts come as UTF-8, one after the other in one array, and where each ends.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from asr_gate.corpus.compiled import compiled

_fast = partial(compiled, fastmath={"nnan", "nsz", "contract", "reassoc"})
ROUNDING = 2.0**-23
"""Twice the relative error of one operation in single precision."""


@_fast
def margins(data, ends, moves, bases, features, table, scale, prior, off, same, own, found):
    """By how many nats each text may fit another language better than its own, or 0.

    The scores of a naive Bayes classifier: log(1 + n) of each feature n times in a text, times its
    logarithm of probability. Sums in another order differ; what they can differ by is added.

    Args:
        data, ends: the texts.
        moves, bases: the next state, by the base of a state and a byte.
        features: of a state, the feature that ends there, or -1.
        table: of features, logarithms of probability in whole numbers of `scale`, shape
            (features, languages): as small as it can be, since to read it takes most of the time.
        scale: what one is worth.
        prior: logarithms of probability of languages.
        off: by how much the numbers in `table` may be off.
        same: whether a language counts as the texts' own.
        own: the one whose score is theirs.
        found: is filled, shape (texts,); infinite where a text has no features.
    """
    languages = table.shape[1]
    counts = np.zeros(table.shape[0], np.int32)
    met = np.zeros(4096, np.int32)
    scores = np.zeros(languages, np.float32)
    start = 0
    for text in range(len(ends)):
        number = 0
        full = False
        state = 0
        for at in range(start, ends[text]):
            state = moves[bases[state] + data[at]]
            feature = features[state]
            if feature >= 0:
                if counts[feature] == 0:
                    if number == len(met):
                        full = True
                        break
                    met[number] = feature
                    number += 1
                counts[feature] += 1
        start = ends[text]
        for language in range(languages):
            scores[language] = prior[language]
        weights = np.float32(0.0)
        for one in range(number):
            feature = met[one]
            weight = np.float32(np.log1p(np.float64(counts[feature])))
            counts[feature] = 0
            weights += weight
            scaled = weight * np.float32(scale)
            for language in range(languages):
                scores[language] += scaled * np.float32(table[feature, language])
        if number == 0 or full:
            found[text] = np.inf
            continue
        best = best_same = np.float32(-np.inf)
        for language in range(languages):
            if same[language]:
                best_same = max(best_same, scores[language])
            else:
                best = max(best, scores[language])
        # Of our sum and of the other one.
        error = 2 * (number + 8) * ROUNDING * (weights * 32768 * scale + 100) + 2 * weights * off
        if best <= best_same - error:
            found[text] = 0
        else:
            found[text] = max(0.0, best - scores[own] + error)


@compiled
def smallest(data, ends, crc_table, factors, shifts, shingle, found, sketches):
    """The least of each permutation of the hashes of a text's shingles: `similar.signatures_of`.

    Args:
        data, ends: the texts; no text is empty.
        crc_table: of CRC-32, a byte at a time.
        factors, shifts: of the permutations, shape (permutations,), below 2**31.
        shingle: letters.
        found: is filled, shape (texts, permutations).
        sketches: is filled, shape (texts, 5): a bit of 256 for each shingle, and how many shingles.
    """
    low = np.int64(0xFFFFFFFF)
    prime = np.int64(2**32 + 15)
    permutations = len(factors)
    least = np.zeros(permutations, np.int64)
    begins = np.zeros(shingle + 1, np.int64)
    start = 0
    for text in range(len(ends)):
        end = ends[text]
        for one in range(permutations):
            least[one] = prime
        letters = 0
        first = start
        for one in range(4):
            sketches[text, one] = 0
        # One shingle ends where each letter begins, and the last one where the text ends.
        for at in range(start, end + 1):
            if at < end and data[at] & 0xC0 == 0x80:
                continue
            letters += 1
            begins[(letters - 1) % (shingle + 1)] = at
            if letters <= shingle:
                if at < end:
                    continue
                first = start
            else:
                first = begins[letters % (shingle + 1)]
            crc = np.uint32(0xFFFFFFFF)
            for place in range(first, at):
                crc = crc_table[(crc ^ data[place]) & np.uint32(0xFF)] ^ (crc >> np.uint32(8))
            hashed = np.int64(~crc & np.uint32(0xFFFFFFFF))
            sketches[text, (hashed >> 6) & 3] |= np.uint64(1) << np.uint64(hashed & 63)
            for one in range(permutations):
                # The rest of the division by 2**32 + 15, without a division.
                product = factors[one] * hashed + shifts[one]
                over = (product >> 32) * 15
                rest = (product & low) - (over & low) + (over >> 32) * 15
                rest += prime if rest < 0 else 0
                rest -= prime if rest >= prime else 0
                least[one] = min(least[one], rest)
        for one in range(permutations):
            found[text, one] = least[one] & low
        sketches[text, 4] = max(1, letters - shingle)
        start = end


@compiled
def mark_alike(starts, ends, exact, rows, at, sketches, differ, most, found):
    """Mark the rows that share a key with one that they may be like.

    Each shingle that only one of two texts has may be seen as one bit that differs, so that texts
    with more such bits are no more alike than the bits say.

    Args:
        starts, ends: of each key, its places in `rows` and `at`.
        exact: of each key, whether all that share it are alike.
        rows: the rows, by key.
        at: where their sketches are.
        sketches: of `smallest`.
        differ: most shingles that only one of two texts has, as a share of those of both.
        most: rows of a key that are held against each other; of more, all are marked.
        found: is filled, shape (rows,).
    """
    for key in range(len(starts)):
        start, end = starts[key], ends[key]
        if exact[key] or end - start > most:
            for one in range(start, end):
                found[rows[one]] = True
            continue
        for one in range(start, end):
            for other in range(one + 1, end):
                if found[rows[one]] and found[rows[other]]:
                    continue
                a, b = at[one], at[other]
                bits = 0
                for part in range(4):
                    x = sketches[a, part] ^ sketches[b, part]
                    while x:
                        x &= x - np.uint64(1)
                        bits += 1
                if bits <= differ * (sketches[a, 4] + sketches[b, 4]):
                    found[rows[one]] = True
                    found[rows[other]] = True
