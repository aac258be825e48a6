"""Numbers from 2 to 99 in a text, written in digits or in words."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby

from asr_gate.corpus.text.numbers import named, num2words_code

_VALUES = range(2, 100)
"""One is a pronoun or an article in many languages, and larger numbers are said in several ways."""
_UNITS = "%°$€£₪¥₽₴"
_DIGITS = re.compile(
    rf"(?<![\w.,:/+{_UNITS}-])(?:[2-9]|[1-9][0-9])(?![\w:/+-]|\s?[{_UNITS}]|[.,]\w)"
)
_DIGIT = re.compile("[0-9]")
_WORD = re.compile(r"[^\W\d_]+")


@dataclass(frozen=True, slots=True)
class SmallNumbers:
    """The numbers that stand alone in one text, by value, as they are written."""

    digits: Mapping[int, str]
    words: Mapping[int, str]


def small_numbers(text: str, language: str) -> SmallNumbers:
    """The numbers from 2 to 99 that are not part of a larger number, a date, a price and the like.

    Args:
        text: a transcript.
        language: code or English name; without names of numbers on record nothing is found.
    """
    names, vocabulary = _names(language)
    if not names:
        return SmallNumbers({}, {})
    digits = {}
    if _DIGIT.search(text):
        digits = {int(match[0]): match[0] for match in _DIGITS.finditer(text)}
    words: dict[int, str] = {}
    found = _WORD.findall(text.lower())
    if vocabulary.isdisjoint(found):
        return SmallNumbers(digits, words)
    for numeral, group in groupby(found, vocabulary.__contains__):
        if numeral and (run := tuple(group)) in names:
            words[names[run]] = " ".join(run)
    return SmallNumbers(digits, words)


@lru_cache
def _names(language: str) -> tuple[Mapping[tuple[str, ...], int], frozenset[str]]:
    """Values of number names in words, and every word that may belong to the name of a number."""
    code = num2words_code(language)
    if code is None:
        return {}, frozenset()
    kinds = ("cardinal", "masculine", "feminine") if code == "he" else ("cardinal",)
    names: dict[tuple[str, ...], int] = {}
    others: set[str] = set()
    for kind in kinds:
        for value in (*range(100), 100, 1000, 10**6):
            words = tuple(_WORD.findall((named(code, value, kind) or "").lower()))
            others.update(words)
            if words and value in _VALUES:
                names.setdefault(words, value)
    return names, frozenset(others)
