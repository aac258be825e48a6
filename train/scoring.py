"""Word and character error rates of transcripts against references."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Scores:
    """Error rates over a set of utterances, each 0 or more (1.0: as many errors as words)."""

    wer: float
    cer: float
    utterances: int
    words: int
    """In the references."""

    def as_dict(self) -> dict[str, float]:
        """For JSON and for metrics."""
        return asdict(self)


def normalise(text: str) -> str:
    """Lower case, no punctuation but apostrophes inside words, single spaces.

    Marks that combine (accents, vowel points) stay with their letters.
    """
    kept = (
        character if unicodedata.category(character)[0] in "LNM" or character == "'" else " "
        for character in unicodedata.normalize("NFKC", text.replace("’", "'")).lower()
    )
    words = (word.strip("'") for word in "".join(kept).split())
    return " ".join(word for word in words if word)


def score(references: Sequence[str], hypotheses: Sequence[str]) -> Scores:
    """Rates over all utterances together; an empty hypothesis counts every word as deleted.

    Args:
        references: what was said; each holds at least one word after `normalise`.
        hypotheses: what was recognised, in the same order; may be empty.
    """
    import jiwer

    truth = [normalise(text) for text in references]
    heard = [normalise(text) for text in hypotheses]
    words = jiwer.process_words(truth, heard)
    characters = jiwer.process_characters(truth, heard)
    return Scores(
        wer=float(words.wer),
        cer=float(characters.cer),
        utterances=len(truth),
        words=words.hits + words.substitutions + words.deletions,
    )


def score_by_domain(
    references: Sequence[str], hypotheses: Sequence[str], domains: Sequence[str]
) -> dict[str, Scores]:
    """`score` for each domain by itself, in the order of the domains' names."""
    result = {}
    for domain in sorted(set(domains)):
        rows = [index for index, name in enumerate(domains) if name == domain]
        result[domain] = score([references[i] for i in rows], [hypotheses[i] for i in rows])
    return result
