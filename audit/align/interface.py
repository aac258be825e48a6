"""What alignment returns. Times are the model's own; `times` takes its delay out of them."""

from __future__ import annotations

from dataclasses import dataclass

from asr_gate.corpus.utterance import Seconds, Span


@dataclass(frozen=True, slots=True)
class AlignedWord:
    """One word of the transcript and where it is said."""

    text: str
    letters: int
    """Letters that the model knows and that stand for a sound; others prove nothing."""
    start: Seconds
    end: Seconds
    """Of a word that is not kept: from the word kept before it to the one after it, or the speech
    that stands in its place."""
    kept: bool
    """Whether the best path goes through the word."""
    confidence: float
    """0 to 1; how the word's letters fare against whatever the model would rather hear there."""
    unsaid: float
    """Evidence that it is not said, nats a letter: what leaving it out gains; below 0 it loses."""
    other: float
    """Evidence that other speech stands in its place, nats a letter."""
    drowned: bool
    """Whether it may be said without the model's hearing it, so that nothing is known of it."""
    spoken: float | None = None
    """Probability that the word is said at all, once the audit's controls have calibrated it."""
    replaced: float | None = None
    """Probability that other speech stands in its place, once calibrated."""


@dataclass(frozen=True, slots=True)
class Gap:
    """The gap before a word, or after the last one."""

    start: Seconds
    end: Seconds
    separator: Seconds | None
    """When the model heard the space between two words; None where it heard none."""
    speech: float
    """Evidence of speech that the transcript lacks, nats: what hearing it there gains."""
    untranscribed: float | None = None
    """Probability that unclaimed speech lies there, once calibrated."""


@dataclass(frozen=True, slots=True)
class Alignment:
    """The words of one transcript on one recording, in the order of the transcript."""

    words: tuple[AlignedWord, ...]
    gaps: tuple[Gap, ...]
    """One before each word and one after the last."""
    unclaimed: tuple[Span, ...]
    """Where the best path hears speech that no kept word claims."""
    letter_times: tuple[Seconds, ...]
    """When the model heard each letter of the path: the middle of its first frame."""
    separator_times: tuple[Seconds, ...]
    """The same of the separators between words."""
    loss: float
    """What the transcript costs over the greedy output when every word must be said, nats a letter;
    0 where they are the same."""


@dataclass(frozen=True, slots=True)
class Unalignable:
    """No alignment exists, and why."""

    code: str
    """Code of the rule that reports it."""
    reason: str
