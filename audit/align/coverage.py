"""Coverage: how much of the transcript is said, and how much of the speech is transcribed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audit.align.interface import AlignedWord
from corpus.speech.activity import HOP
from corpus.utterance import Seconds

REACH: Seconds = 0.5
"""How far from its tokens a word may claim speech: CTC models emit a letter once, at some point of
its sound, late rather than early."""


@dataclass(frozen=True, slots=True)
class Coverage:
    """Shares from 0 to 1."""

    text: float
    """Share of the transcript's letters that lie in kept words."""
    speech: float
    """Share of the speech, in seconds, that kept words claim."""
    confidence: float
    """Geometric mean over the letters of the kept words; 0 where none is kept."""

    @property
    def coverage(self) -> float:
        """The smaller of the two."""
        return min(self.text, self.speech)


def coverage(words: Sequence[AlignedWord], activity: NDArray[np.bool_]) -> Coverage:
    """Coverage of one utterance.

    A kept word claims the sound from the middle of the pause before it to the middle of the pause
    after it, at most `REACH` from its own tokens.

    Args:
        words: in the order of the transcript; at least one.
        activity: where speech is, shape (hops,), one a 10 ms.
    """
    letters = sum(word.letters for word in words)
    kept = [word for word in words if word.kept]
    kept_letters = sum(word.letters for word in kept)
    if not kept_letters:
        return Coverage(0.0, 0.0, 0.0)
    claimed = np.zeros(len(activity), dtype=np.bool_)
    for index, word in enumerate(words):
        if not word.kept:
            continue
        start, end = word.start - REACH, word.end + REACH
        if index > 0:
            start = max(start, (words[index - 1].end + word.start) / 2)
        if index + 1 < len(words):
            end = min(end, (word.end + words[index + 1].start) / 2)
        claimed[max(0, round(start / HOP)) : max(0, round(end / HOP))] = True
    speech = int(activity.sum())
    logs = sum(word.letters * math.log(max(word.confidence, 1e-12)) for word in kept)
    return Coverage(
        text=kept_letters / letters,
        # No speech at all: there is nothing that the words could claim.
        speech=float((claimed & activity).sum() / speech) if speech else 0.0,
        confidence=math.exp(logs / kept_letters),
    )
