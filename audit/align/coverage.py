"""Coverage: how much of the transcript is said, and how much of the speech is transcribed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from asr_gate.audit.records.alignment import AlignedWord
from asr_gate.audit.records.judged import JudgedWord
from asr_gate.corpus.utterance import Seconds, Span


@dataclass(frozen=True, slots=True)
class Coverage:
    """Shares from 0 to 1."""

    text: float
    """Share of the transcript's letters that lie in kept words."""
    speech: float
    """Share of the speech, in seconds, that kept words claim."""
    confidence: float
    """Geometric mean over the letters of the kept words that the model hears; 0: there are none."""

    @property
    def coverage(self) -> float:
        """The smaller of the two."""
        return min(self.text, self.speech)


def coverage(
    words: Sequence[AlignedWord | JudgedWord], unaligned: Sequence[Span], activity: Sequence[Span]
) -> Coverage:
    """Coverage of one utterance.

    Args:
        words: in the order of the transcript; at least one that the model can spell.
        unclaimed: stretches of speech that the alignment leaves to no word, in order.
        activity: where speech is, in order.
    """
    letters = sum(word.letters for word in words)
    kept = [word for word in words if word.kept]
    kept_letters = sum(word.letters for word in kept)
    if not kept_letters:
        return Coverage(0.0, 0.0, 0.0)
    speech = math.fsum(end - start for start, end in activity)
    lost = common(unaligned, activity)
    heard = [word for word in kept if not word.masked]
    logs = sum(word.letters * math.log(max(word.confidence, 1e-12)) for word in heard)
    heard_letters = sum(word.letters for word in heard)
    return Coverage(
        text=kept_letters / letters,
        # No speech at all: there is nothing that the words could claim.
        speech=max(0.0, 1 - lost / speech) if speech else 0.0,
        confidence=math.exp(logs / heard_letters) if heard_letters else 0.0,
    )


def common(some: Sequence[Span], others: Sequence[Span]) -> Seconds:
    """How long the stretches of both have in common; those of either do not overlap each other."""
    return math.fsum(
        max(0.0, min(end, stop) - max(start, begin))
        for start, end in some
        for begin, stop in others
    )
