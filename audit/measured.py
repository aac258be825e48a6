"""What was measured on one utterance: facts, before any policy judges them."""

from __future__ import annotations

from dataclasses import dataclass

from audit.align import AlignedWord
from corpus.utterance import Seconds


@dataclass(frozen=True, slots=True)
class Fault:
    """Why an utterance could not be aligned, as the rule that reports it."""

    code: str
    reason: str


@dataclass(frozen=True, slots=True)
class Measured:
    """One audited utterance."""

    id: str
    domain: str
    lang: str | None
    origin: str
    text: str
    duration: Seconds
    """Of the decoded audio; 0 where it could not be decoded."""
    speech_seconds: Seconds
    """Time with speech activity."""
    peak_db: float
    """Level of the loudest 10 ms, dB of full scale; 0 where nothing was decoded."""
    clipped: float
    """Share of samples at full scale."""
    letters: int
    """Letters of the transcript, unknown ones included."""
    unknown: int
    """Characters that are spoken and that the model's alphabet lacks."""
    dropped: int
    """Punctuation and marks."""
    text_coverage: float
    speech_coverage: float
    confidence: float
    quality: float
    """0 to 1: mean confidence of all letters, times speech coverage."""
    words: tuple[AlignedWord, ...]
    fault: Fault | None

    @property
    def coverage(self) -> float:
        """The smaller of text coverage and speech coverage."""
        return min(self.text_coverage, self.speech_coverage)

    @property
    def rate(self) -> float:
        """Letters a second of speech; 0 where there is no speech."""
        return self.letters / self.speech_seconds if self.speech_seconds else 0.0
