"""Transcripts as they are compared: without case, punctuation, and what a language leaves open."""

from __future__ import annotations

import re
import unicodedata

from asr_gate.corpus.text.language import language_code
from asr_gate.corpus.text.letters import APOSTROPHES, GERSHAYIM
from asr_gate.corpus.text.numbers import read_out
from asr_gate.corpus.text.scripts import scripts_of
from asr_gate.train.recipes import Numbers

_TATWEEL = "\N{ARABIC TATWEEL}"
_TO_APOSTROPHE = str.maketrans(dict.fromkeys(APOSTROPHES, "'"))
_UNSPACED = frozenset({"Bopo", "Kana", "Khmr", "Laoo", "Mymr", "Thai"})
"""Scripts of languages without spaces between words; Chinese and Japanese by the scripts that only
they use."""
_UNSPACED_NAMES = ("CJK", "HIRAGANA", "KATAKANA", "KHMER", "LAO", "MYANMAR", "THAI")
"""Beginnings of the Unicode names of their letters."""


def normalise(text: str, language: str | None = None, numbers: Numbers = "as_written") -> str:
    """Lower case, no punctuation except apostrophes inside words, single spaces.

    Combining marks (accents) stay with their letters. Some languages have rules of their own:
    Hebrew and languages in Arabic script lose vowel points and the tatweel; an abbreviation in
    Hebrew loses its gershayim (`צה"ל` is one word); Turkish and Azerbaijani keep dotted and dotless
    i apart; in Chinese, Japanese, Thai, Lao, Khmer and Burmese each letter is a word.

    Args:
        text: a transcript.
        language: code or English name; None: unknown.
        numbers: whether numbers and symbols are first read out in that language, as the audit does.
    """
    if numbers == "spoken" and language is not None:
        text = read_out(text, language)
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
    if has_no_spaces(language):
        kept = _letters_apart(kept)
    words = (word.strip("'") for word in kept.split())
    return " ".join(word for word in words if word)


def has_no_spaces(language: str | None) -> bool:
    """Whether the language is written without spaces between words."""
    return bool(_UNSPACED.intersection(scripts_of(language or "") or ()))


def _letters_apart(text: str) -> str:
    """Put spaces around each letter of a script without spaces; marks stay with their letters."""
    result = ""
    alone = False
    for c in text:
        if not unicodedata.category(c).startswith("M"):
            before, alone = alone, unicodedata.name(c, "").startswith(_UNSPACED_NAMES)
            result += " " if before or alone else ""
        result += c
    return result
