"""Word and character error rates of transcripts against references."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from asr_gate.train.data.normalise import has_no_spaces, normalise
from asr_gate.train.recipes import Numbers

_MOST_NATS = 700.0


@dataclass(frozen=True, slots=True)
class Errors:
    """Numbers of errors in one transcript."""

    words: int
    """Words of the reference."""
    substitutions: int
    deletions: int
    insertions: int
    characters: int
    """Characters of the reference; a space between words counts, as in jiwer."""
    character_errors: int

    @property
    def word_errors(self) -> int:
        """Substitutions, deletions and insertions together."""
        return self.substitutions + self.deletions + self.insertions


@dataclass(frozen=True)
class Scores:
    """Error rates over a set of utterances, each 0 or more (1.0: as many errors as words)."""

    wer: float
    cer: float
    utterances: int
    words: int
    """Words of the references."""


def count_errors(
    reference: str,
    hypothesis: str,
    language: str | None = None,
    numbers: Numbers = "as_written",
) -> Errors:
    """Compare one transcript with the reference; in an empty one every word is deleted.

    Args:
        reference: what was said; has at least one word after `normalise`.
        hypothesis: what was recognised; may be empty.
        language: language of both; see `normalise`.
        numbers: of both; see `normalise`.
    """
    import jiwer

    truth, recognised = (normalise(text, language, numbers) for text in (reference, hypothesis))
    words = jiwer.process_words(truth, recognised)
    if has_no_spaces(language):
        truth, recognised = truth.replace(" ", ""), recognised.replace(" ", "")
    letters = jiwer.process_characters(truth, recognised)
    return Errors(
        words=words.hits + words.substitutions + words.deletions,
        substitutions=words.substitutions,
        deletions=words.deletions,
        insertions=words.insertions,
        characters=letters.hits + letters.substitutions + letters.deletions,
        character_errors=letters.substitutions + letters.deletions + letters.insertions,
    )


def score(errors: Sequence[Errors]) -> Scores:
    """Rates over all utterances together: all errors divided by all words (or characters)."""
    words = sum(one.words for one in errors)
    return Scores(
        wer=sum(one.word_errors for one in errors) / words,
        cer=sum(one.character_errors for one in errors) / sum(one.characters for one in errors),
        utterances=len(errors),
        words=words,
    )


def error_types(errors: Sequence[Errors]) -> dict[str, float]:
    """Substitutions, deletions and insertions a word of the references; together the WER.

    Empty if there is no transcript.
    """
    words = sum(one.words for one in errors)
    kinds = ("substitutions", "deletions", "insertions")
    return {kind: sum(getattr(one, kind) for one in errors) / words for kind in kinds if words}


def perplexity(loss: float) -> float:
    """The exponential of a loss in nats a token; infinite where that is no number of 64 bits."""
    return math.inf if loss > _MOST_NATS else math.exp(loss)
