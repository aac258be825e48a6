"""Word and character error rates of transcripts against references."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from asr_gate.corpus.text.language import language_code
from asr_gate.corpus.text.letters import APOSTROPHES, GERSHAYIM
from asr_gate.corpus.text.scripts import scripts_of

_TATWEEL = "\N{ARABIC TATWEEL}"
_TO_APOSTROPHE = str.maketrans(dict.fromkeys(APOSTROPHES, "'"))
_UNSPACED = frozenset({"Bopo", "Kana", "Khmr", "Laoo", "Mymr", "Thai"})
"""Scripts, Chinese and Japanese by the ones that they alone have, of languages that put no spaces
between words."""
_UNSPACED_NAMES = ("CJK", "HIRAGANA", "KATAKANA", "KHMER", "LAO", "MYANMAR", "THAI")
"""How the Unicode names of their letters begin."""


@dataclass(frozen=True, slots=True)
class Errors:
    """What is wrong with one transcript."""

    words: int
    """In the reference."""
    substitutions: int
    deletions: int
    insertions: int
    characters: int
    """In the reference; a space between words is one too, as jiwer counts."""
    character_errors: int

    @property
    def word_errors(self) -> int:
        """Of all three kinds."""
        return self.substitutions + self.deletions + self.insertions


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


def normalise(text: str, language: str | None = None) -> str:
    """Lower case, no punctuation but apostrophes inside words, single spaces.

    Marks that combine (accents) stay with their letters. By the language besides: Hebrew and what
    is written in Arabic letters lose vowel points and the stretching tatweel; an abbreviation in
    Hebrew letters loses its gershayim (`צה"ל` is one word); Turkish and Azerbaijani keep dotted and
    dotless i apart; in Chinese, Japanese, Thai, Lao, Khmer and Burmese each letter is a word by
    itself. Digits stay as they are written.

    Args:
        language: code or English name; None: nothing is known of it.
    """
    scripts = scripts_of(language or "") or ()
    text = unicodedata.normalize("NFKC", text.translate(_TO_APOSTROPHE))
    if "Hebr" in scripts:
        text = re.sub(rf"(?<=\w)[{GERSHAYIM}](?=\w)", "", text)
    if "Hebr" in scripts or "Arab" in scripts:
        text = "".join(c for c in text if unicodedata.category(c) != "Mn" and c != _TATWEEL)
    if language_code(language or "").lower()[:2] in ("az", "tr"):
        text = text.replace("İ", "i").replace("I", "ı")
    kept = "".join(
        c if unicodedata.category(c)[0] in "LNM" or c == "'" else " " for c in text.lower()
    )
    if _UNSPACED.intersection(scripts):
        kept = _letters_apart(kept)
    words = (word.strip("'") for word in kept.split())
    return " ".join(word for word in words if word)


def _letters_apart(text: str) -> str:
    """Spaces around each letter of a script without spaces; its marks stay with it."""
    result = ""
    alone = False
    for c in text:
        if not unicodedata.category(c).startswith("M"):
            before, alone = alone, unicodedata.name(c, "").startswith(_UNSPACED_NAMES)
            result += " " if before or alone else ""
        result += c
    return result


def count_errors(reference: str, hypothesis: str, language: str | None = None) -> Errors:
    """Compare one transcript with what was said; an empty one has every word deleted.

    Args:
        reference: what was said; holds at least one word after `normalise`.
        hypothesis: what was recognised; may be empty.
        language: of both; see `normalise`.
    """
    import jiwer

    truth, heard = normalise(reference, language), normalise(hypothesis, language)
    words = jiwer.process_words(truth, heard)
    if _UNSPACED.intersection(scripts_of(language or "") or ()):
        truth, heard = truth.replace(" ", ""), heard.replace(" ", "")
    letters = jiwer.process_characters(truth, heard)
    return Errors(
        words=words.hits + words.substitutions + words.deletions,
        substitutions=words.substitutions,
        deletions=words.deletions,
        insertions=words.insertions,
        characters=letters.hits + letters.substitutions + letters.deletions,
        character_errors=letters.substitutions + letters.deletions + letters.insertions,
    )


def score(errors: Sequence[Errors]) -> Scores:
    """Rates over all utterances together: all errors by all words, and so of characters."""
    words = sum(one.words for one in errors)
    return Scores(
        wer=sum(one.word_errors for one in errors) / words,
        cer=sum(one.character_errors for one in errors) / sum(one.characters for one in errors),
        utterances=len(errors),
        words=words,
    )
