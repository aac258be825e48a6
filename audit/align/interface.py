"""What an aligner returns; the lattice and the strict aligner fill the same."""

from __future__ import annotations

from dataclasses import dataclass

from corpus.utterance import Seconds


@dataclass(frozen=True, slots=True)
class AlignedWord:
    """One word of the transcript and where it is said."""

    text: str
    letters: int
    """Letters that the model knows; those aligned to a wildcard prove nothing and do not count."""
    start: Seconds
    end: Seconds
    confidence: float
    """0 to 1; how the word's letters fare against whatever the model would rather hear there."""
    spoken: float | None
    """Probability that the word is said at all; None: this aligner does not tell."""
    replaced: float | None
    """Probability that other speech stands in its place; None: this aligner does not tell."""
    kept: bool
    """Whether the alignment takes the word as said."""


@dataclass(frozen=True, slots=True)
class Alignment:
    """The words of one transcript on one recording, in the order of the transcript."""

    words: tuple[AlignedWord, ...]
    score: float
    """Natural log-probability of the best path, a frame."""


@dataclass(frozen=True, slots=True)
class Unalignable:
    """No alignment exists, and why."""

    code: str
    """Code of the rule that reports it."""
    reason: str
