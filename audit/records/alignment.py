"""What the alignment of one transcript returns. Times are the model's own."""

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
    placed: bool
    """Whether these are the times of its letters. Otherwise it is not kept, and spans the time from
    the word kept before it to the one after it, or the speech that stands in its place."""
    kept: bool
    """Whether the best path goes through the word."""
    confidence: float
    """0 to 1; how the word's letters fare against whatever the model would rather hear there."""
    deletion: float
    """Deletion score, nats a letter: how much better the audio fits without this word. Below 0,
    it fits worse."""
    substitution: float
    """Substitution score, nats a letter: how much better it fits with other speech instead."""
    masked: bool
    """Whether noise may hide the word, so that nothing is known of it."""


@dataclass(frozen=True, slots=True)
class Gap:
    """The gap before a word, or after the last one."""

    start: Seconds
    end: Seconds
    separator: Seconds | None
    """When the model emits the space between two words; None where it emits none."""
    insertion: float
    """Insertion score, nats: how much better the audio fits with untranscribed speech here."""


@dataclass(frozen=True, slots=True)
class HeardWord:
    """One word of what the model hears by itself, in its own letters."""

    text: str
    start: Seconds
    end: Seconds


@dataclass(frozen=True, slots=True)
class Alignment:
    """The words of one transcript on one recording, in the order of the transcript."""

    words: tuple[AlignedWord, ...]
    gaps: tuple[Gap, ...]
    """One before each word and one after the last."""
    unaligned: tuple[Span, ...]
    """Where the best path hears speech that no kept word covers."""
    letter_times: tuple[Seconds, ...]
    """When the model emits each letter of the path: the middle of its first frame."""
    separator_times: tuple[Seconds, ...]
    """The same for the separators between words."""
    loss: float
    """What the transcript costs over the greedy output when every word must be said, nats a letter;
    0 where they are the same."""


@dataclass(frozen=True, slots=True)
class Unalignable:
    """No alignment exists, and why."""

    code: str
    """Code of the rule that reports it."""
    reason: str
