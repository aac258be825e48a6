"""One utterance as measured: facts, before anything judges them."""

from __future__ import annotations

from dataclasses import dataclass

from asr_gate.audit.records.alignment import AlignedWord, Gap, HeardWord
from asr_gate.audit.records.controls import Control, Evidence
from asr_gate.audit.records.pairing import OtherText
from asr_gate.corpus.speech.stored import Signal
from asr_gate.corpus.utterance import Seconds, Span


@dataclass(frozen=True, slots=True)
class Fault:
    """Why an utterance could not be aligned, as the rule that reports it."""

    code: str
    reason: str


@dataclass(frozen=True, slots=True)
class Measured:
    """One audited utterance. Times are the model's own; `asr_gate.audit.judge` corrects them."""

    id: str
    domain: str
    lang: str | None
    text: str
    duration: Seconds
    """Length of the decoded audio; 0 where it could not be decoded."""
    speech_seconds: Seconds
    """Time with speech activity."""
    peak_db: float
    """Level of the loudest 10 ms, dB of full scale; 0 where nothing was decoded."""
    speech_to_noise: float | None
    """Decibels; None: nothing was decoded, or there is too little to tell."""
    signal: Signal | None
    """What the stored samples show; None: nothing was decoded."""
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
    unaligned: tuple[Span, ...]
    """Where the best path hears speech that no kept word covers."""
    heard: tuple[HeardWord, ...]
    """What the model hears by itself."""
    loss: float
    """What the transcript costs over the model's greedy output, nats a letter."""
    cohort_loss: float | None
    """What texts of other utterances cost on this audio, the median; None: there are none."""
    tokens: int
    """Letters that begin in the model's greedy output."""
    lags: tuple[float, ...]
    """What `asr_gate.audit.align.times.lag_profile` gives."""
    controls: tuple[Control, ...]
    """Defects planted in this utterance; they count for nothing but the detection power."""
    fault: Fault | None
    others: tuple[OtherText, ...] = ()
    """Texts of other rows that fit best, the best first; empty: not searched, or none fits."""

    @property
    def mismatch(self) -> float | None:
        """The transcript's cost over that of other texts: near 0 if right, near 1 if wrong."""
        return None if self.cohort_loss is None else self.loss / self.cohort_loss

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
        if of == "deletion":
            return max(word.deletion for word in self.words)
        if of == "substitution":
            return max(word.substitution for word in self.words)
        if of == "insertion":
            return max(gap.insertion for gap in self.gaps)
        return max(self.gaps[0].insertion, self.gaps[-1].insertion)
