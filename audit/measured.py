"""What was measured on one utterance: facts, before any policy judges them."""

from __future__ import annotations

from dataclasses import dataclass

from asr_gate.audit.align import AlignedWord, Gap
from asr_gate.audit.controls.kinds import Control, Evidence
from asr_gate.corpus.speech.signal import Signal
from asr_gate.corpus.utterance import Seconds, Span


@dataclass(frozen=True, slots=True)
class Fault:
    """Why an utterance could not be aligned, as the rule that reports it."""

    code: str
    reason: str


@dataclass(frozen=True, slots=True)
class Measured:
    """One audited utterance.

    `audit.engine.judge` brings its times to those of the sound and fills in what depends on all
    utterances: coverage, quality, the words' and gaps' probabilities.
    """

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
    speech_to_noise: float | None
    """Decibels, of `corpus.speech.signal`; None: nothing was decoded, or too little to tell."""
    signal: Signal | None
    """Of the stored samples; None: nothing was decoded."""
    letters: int
    """Letters of the transcript, unknown ones included."""
    unknown: int
    """Characters that are spoken and that the model's alphabet lacks."""
    dropped: int
    """Punctuation and marks."""
    activity: tuple[Span, ...]
    """Where speech activity is."""
    words: tuple[AlignedWord, ...]
    gaps: tuple[Gap, ...]
    unclaimed: tuple[Span, ...]
    """Where speech is that no kept word claims."""
    loss: float
    """What the transcript costs over the model's greedy output, nats a letter."""
    foreign: float | None
    """What texts of other utterances cost on this audio, their median; None: there are none."""
    tokens: int
    """Letters that begin in the model's greedy output."""
    lags: tuple[float, ...]
    """Of `audit.align.times.lag_profile`."""
    controls: tuple[Control, ...]
    """Defects planted in this utterance; they count for nothing but the aligner's power."""
    fault: Fault | None
    text_coverage: float = 0.0
    speech_coverage: float = 0.0
    confidence: float = 0.0
    quality: float = 0.0
    """0 to 1: how sure it is that this transcript is what is said here, all of it and no more."""

    @property
    def coverage(self) -> float:
        """The smaller of text coverage and speech coverage."""
        return min(self.text_coverage, self.speech_coverage)

    @property
    def mismatch(self) -> float | None:
        """The transcript's cost over that of texts of others: near 0 if right, near 1 if wrong."""
        return None if self.foreign is None else self.loss / self.foreign

    @property
    def rate(self) -> float:
        """Letters a second of speech; 0 where there is no speech."""
        return self.letters / self.speech_seconds if self.speech_seconds else 0.0

    def evidence(self, of: Evidence) -> float | None:
        """The strongest evidence of a kind; None: the utterance was not aligned."""
        if self.fault is not None or not self.words or not self.speech_seconds:
            return None
        if of == "mismatch":
            return self.mismatch
        if of == "unsaid":
            return max(word.unsaid for word in self.words)
        if of == "other":
            return max(word.other for word in self.words)
        if of == "speech":
            return max(gap.speech for gap in self.gaps)
        return max(self.gaps[0].speech, self.gaps[-1].speech)
