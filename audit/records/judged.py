"""One utterance as judged: what its measurements mean beside those of all others."""

from __future__ import annotations

from dataclasses import dataclass

from asr_gate.audit.records.alignment import HeardWord
from asr_gate.audit.records.measured import Measured
from asr_gate.corpus.utterance import Seconds, Span


@dataclass(frozen=True, slots=True)
class JudgedWord:
    """One word of the transcript, at the time of its sound."""

    text: str
    letters: int
    """Letters that the model knows and that stand for a sound."""
    start: Seconds
    end: Seconds
    kept: bool
    """Whether it counts as said."""
    confidence: float
    """0 to 1; how well the word fits its sound."""
    masked: bool
    """Whether noise may hide it, so that nothing is known of it."""
    spoken: float
    """Probability that the word is said at all."""
    replaced: float
    """Probability that other speech stands in its place."""


@dataclass(frozen=True, slots=True)
class JudgedGap:
    """The gap before a word, or after the last one, at the time of the sound."""

    start: Seconds
    end: Seconds
    insertion: float
    """Insertion score, nats: how much more likely the audio is with untranscribed speech here."""
    untranscribed: float
    """Probability that there is speech here that the transcript lacks."""


@dataclass(frozen=True, slots=True)
class Judged:
    """One audited utterance, judged.

    An utterance that could not be aligned has no words and no gaps, and its figures are 0.
    """

    measured: Measured
    words: tuple[JudgedWord, ...] = ()
    gaps: tuple[JudgedGap, ...] = ()
    unaligned: tuple[Span, ...] = ()
    """Speech that no kept word covers."""
    heard: tuple[HeardWord, ...] = ()
    """What the model hears by itself, at the time of its sound."""
    text_coverage: float = 0.0
    speech_coverage: float = 0.0
    confidence: float = 0.0
    quality: float = 0.0
    """0 to 1: how sure it is that this transcript is what is said here, all of it and no more."""

    @property
    def id(self) -> str:
        """The utterance's id."""
        return self.measured.id

    @property
    def domain(self) -> str:
        """The utterance's domain."""
        return self.measured.domain

    @property
    def coverage(self) -> float:
        """The smaller of text coverage and speech coverage."""
        return min(self.text_coverage, self.speech_coverage)
