"""From a transcript to a model's letters; every character is used or counted."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from asr_gate.corpus.text.numbers import read_out

# Punctuation to Unicode, yet read out loud: dropping them would lose spoken words.
SPOKEN_SYMBOLS = frozenset("%&@#§†‰")
# Signs that alphabets write in several ways, the commonest first: the apostrophe, also as Hebrew
# geresh, and the gershayim of Hebrew abbreviations.
APOSTROPHES = "'’‘ʼ`´׳"
GERSHAYIM = '"״'
BASE_OF_FINAL = {"ך": "כ", "ם": "מ", "ן": "נ", "ף": "פ", "ץ": "צ", "ς": "σ"}


@dataclass(frozen=True, slots=True)
class Word:
    """One word of a transcript as a model's letters."""

    text: str
    """As written; of a number or symbol that is read out, one of the words said for it."""
    letters: tuple[str | None, ...]
    """The model's letters; None stands for a character outside its alphabet."""


@dataclass(frozen=True, slots=True)
class Transcript:
    """A transcript as a model's letters."""

    words: tuple[Word, ...]
    """Words with at least one letter or unknown character."""
    unknown: int
    """Characters that are spoken and that the alphabet lacks: they align to a wildcard."""
    dropped: int
    """Punctuation, marks and symbols that are not spoken."""

    @property
    def letters(self) -> int:
        """How many letters the words have, unknown ones included."""
        return sum(len(word.letters) for word in self.words)


def spell(
    text: str,
    alphabet: Sequence[str] | frozenset[str],
    romanise: Callable[[str], str] | None = None,
    language: str | None = None,
) -> Transcript:
    """Bring a transcript to the letters of an alphabet.

    Numbers and symbols are first read out in the transcript's language: `1984` becomes the words
    `nineteen`, `eighty`, `four`. In a language without number names on record they stay.

    A character is taken as it is, or in the alphabet's case, or without its accents, whichever the
    alphabet has first. Letters, digits and spoken symbols that it lacks become unknown (None);
    punctuation and marks are dropped; both are counted, so that nothing vanishes.

    Args:
        text: as written.
        alphabet: the model's letters, single characters.
        romanise: applied to each word first, for models with a Latin alphabet for all scripts.
        language: code or English name of the transcript's language; None: nothing is read out.
    """
    if language is not None:
        text = read_out(text, language)
    known = frozenset(alphabet)
    words: list[Word] = []
    dropped = 0
    # A dash separates words, inside a compound too: the two halves are read as two words.
    apart = "".join(" " if unicodedata.category(c) == "Pd" else c for c in text)
    for written in apart.split():
        letters: list[str | None] = []
        for character in unicodedata.normalize("NFC", romanise(written) if romanise else written):
            found = _in_alphabet(character, known)
            if found:
                letters.extend(found)
            elif is_spoken(character):
                letters.append(None)
            else:
                dropped += 1
        if any(letter is None or letter not in APOSTROPHES + GERSHAYIM for letter in letters):
            words.append(Word(written, tuple(letters)))
        else:
            dropped += len(letters)
    unknown = sum(letter is None for word in words for letter in word.letters)
    return Transcript(tuple(words), unknown, dropped)


def _in_alphabet(character: str, known: frozenset[str]) -> list[str]:
    """The alphabet's letters for one character; empty where it has none."""
    for signs in (APOSTROPHES, GERSHAYIM):
        if character in signs:
            return [sign for sign in (character, *signs) if sign in known][:1]
    for form in (character, character.lower(), character.upper()):
        if form and all(letter in known for letter in form):
            return list(form)
    if BASE_OF_FINAL.get(character) in known:
        return [BASE_OF_FINAL[character]]
    decomposed = unicodedata.normalize("NFKD", character)
    base = "".join(c for c in decomposed if not unicodedata.combining(c))
    for form in (base, base.lower(), base.upper()):
        if form and all(letter in known for letter in form):
            return list(form)
    return []


def is_spoken(character: str) -> bool:
    """Whether a character is said, as letters, digits and some symbols are."""
    return unicodedata.category(character)[0] in "LNS" or character in SPOKEN_SYMBOLS
