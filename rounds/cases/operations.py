"""What stands between a transcript and its reference, word by word, by kind of error."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from itertools import zip_longest
from typing import Any

from asr_gate.rounds.cases.case import Kind, Operation
from asr_gate.train.data.normalise import normalise
from asr_gate.train.recipes import Numbers

NEAR_SPELLING = 0.6
"""Least similarity of two words that are spelled alike: two of three letters are the same."""


def operations(
    reference: str, hypothesis: str, language: str | None, numbers: Numbers = "spoken"
) -> list[Operation]:
    """The errors of a transcript, in the order of the reference.

    Both texts are normalised as for the WER, so that the number of operations is the number of
    word errors.

    Args:
        reference: what was said.
        hypothesis: what was recognised; may be empty.
        language: of both; None: unknown.
        numbers: how numbers are compared.
    """
    import jiwer

    truth, heard = (normalise(text, language, numbers) for text in (reference, hypothesis))
    if not truth:  # jiwer refuses an empty reference
        return [Operation("insertion", 0, "", word) for word in heard.split()]
    aligned = jiwer.process_words(truth, heard)
    words, found = aligned.references[0], aligned.hypotheses[0]
    return [one for chunk in aligned.alignments[0] for one in _operations(chunk, words, found)]


def _operations(chunk: Any, words: list[str], found: list[str]) -> Iterator[Operation]:
    """The errors of one stretch of the alignment, an `AlignmentChunk` of jiwer."""
    said = words[chunk.ref_start_idx : chunk.ref_end_idx]
    heard = found[chunk.hyp_start_idx : chunk.hyp_end_idx]
    if chunk.type == "equal":
        return
    for number, (one, other) in enumerate(zip_longest(said, heard, fillvalue="")):
        position = chunk.ref_start_idx + (number if said else 0)
        kind: Kind = "insertion" if not said else "deletion" if not heard else _alike(one, other)
        yield Operation(kind, position, one, other)


@cache
def _alike(said: str, heard: str) -> Kind:
    """How alike two words are.

    Alike in sound: the same Metaphone code (Philips, "Hanging on the Metaphone", Computer Language
    7(12), 1990), after transliteration into Latin letters, so that letters of other scripts that
    sound alike become one. A code holds hardly any vowels, so words with one consonant must be
    spelled alike as well. Alike in spelling: the optimal string alignment distance, divided by the
    length of the longer word.
    """
    import jellyfish
    from anyascii import anyascii
    from rapidfuzz.distance import OSA

    near = OSA.normalized_similarity(said, heard) >= NEAR_SPELLING
    code, other = (jellyfish.metaphone(anyascii(word)) for word in (said, heard))
    if code and code == other and (near or len(code) > 1):
        return "near_sound"
    return "near_spelling" if near else "substitution"
