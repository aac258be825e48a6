"""Scripts: those that a language is written in, and those of a text."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Any

from asr_gate.corpus.text.language import closest_code

SCRIPTS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        language: tuple(scripts.split())
        for scripts, languages in {
            "Latn": (
                "af sq eu br ca hr cs da nl en eo et fo fi fr gl de ht haw hu is ig id ga "
                "it la lv ln lt lb mg mt mi no nb nn oc pl pt ro rw sn sk sl so es sw ast "
                "fy gd hsb dsb ia io kab sv fil tr vi cy xh yo zu"
            ),
            "Hebr": "he yi",
            "Arab": "ar fa ur ps ug ckb",
            "Arab Latn": "ms ku ha",
            "Arab Deva": "sd ks",
            "Guru Arab": "pa",
            "Cyrl": "ru uk be bg mk ky tg tt ba ce cv os udm",
            "Cyrl Latn": "sr bs kk uz tk az",
            "Cyrl Mong": "mn",
            "Grek": "el",
            "Armn": "hy",
            "Geor": "ka",
            "Ethi": "am ti",
            "Deva": "hi mr ne sa",
            "Beng": "bn as",
            "Gujr": "gu",
            "Orya": "or",
            "Taml": "ta",
            "Telu": "te",
            "Knda": "kn",
            "Mlym": "ml",
            "Sinh": "si",
            "Thai": "th",
            "Laoo": "lo",
            "Khmr": "km",
            "Mymr": "my",
            "Tibt": "bo",
            "Hani Bopo": "zh yue",
            "Hani Hira Kana": "ja",
            "Hang Hani": "ko",
            "Java Latn": "jv",
            "Sund Latn": "su",
        }.items()
        for language in languages.split()
    }
)
"""ISO 639 codes of languages to ISO 15924 codes of the scripts that they are written in (after the
Unicode CLDR's likely subtags, which name only one for each). Nothing is said of other languages."""

_SUBTAGS = {"hans": ("Hani", "Bopo"), "hant": ("Hani", "Bopo"), "jpan": ("Hani", "Hira", "Kana")}
_SUBTAGS |= {"kore": ("Hang", "Hani")}
_SUBTAGS |= {script.lower(): (script,) for scripts in SCRIPTS.values() for script in scripts}

LOOKALIKES = MappingProxyType(
    {
        **dict(zip("АВЕКМНОРСТХаеорсухі", "ABEKMHOPCTXaeopcyxi", strict=True)),
        **dict(zip("ΑΒΕΖΗΙΚΜΝΟΡΤΥΧο", "ABEZHIKMNOPTYXo", strict=True)),
    }
)
"""Cyrillic and Greek letters that are drawn as a Latin one (Unicode UTS #39, confusables)."""


ALPHABETS = frozenset(
    {
        "ARABIC", "ARMENIAN", "BENGALI", "CYRILLIC", "DEVANAGARI", "ETHIOPIC", "GEORGIAN", "GREEK",
        "GUJARATI", "GURMUKHI", "HEBREW", "KANNADA", "KHMER", "LAO", "LATIN", "MALAYALAM",
        "MYANMAR", "SINHALA", "TAMIL", "TELUGU", "THAI", "TIBETAN",
    }
)  # fmt: skip
"""Scripts as Unicode names them; those of Chinese, Japanese and Korean stand beside each other."""


@dataclass(frozen=True, slots=True)
class Foreign:
    """Letters of a text that its language is not written in."""

    letters: int
    """All letters of the text."""
    latin: int
    """Latin ones, where the language is not written in Latin letters."""
    other: int
    """Those of any other script."""
    script: str
    """What most of them are, as Unicode names them: `CYRILLIC`."""
    example: str
    """The first of them and what follows in the same script."""


@cache
def scripts_of(language: str) -> tuple[str, ...] | None:
    """ISO 15924 codes of the scripts of a language; None: not known.

    Args:
        language: code or English name; a script in the code decides (`sr-Latn`).
    """
    for subtag in language.strip().replace("_", "-").lower().split("-")[1:]:
        if subtag in _SUBTAGS:
            return _SUBTAGS[subtag]
    code = closest_code(language, frozenset(SCRIPTS))
    return None if code is None else SCRIPTS[code]


def foreign_letters(text: str, scripts: tuple[str, ...]) -> Foreign | None:
    """Letters outside some scripts; None: there are none.

    Letters that belong to no script or to several (Unicode's `Script_Extensions`) are never
    foreign.
    """
    own = _own_letters(scripts)
    if own.issuperset(text):
        return None
    runs = list(_foreign(scripts).finditer(text))
    if not runs:
        own.update(text)
        return None
    latin = sum(len(run[0]) for run in runs if run["latin"])
    counts = Counter(_script(letter) for run in runs for letter in run[0])
    return Foreign(
        letters=len(_letters().findall(text)),
        latin=latin,
        other=counts.total() - latin,
        script=counts.most_common(1)[0][0],
        example=runs[0][0],
    )


def mixed_words(text: str) -> list[str]:
    """Words of two alphabets that no one writes together on purpose.

    Two alphabets but Latin never stand in one word. Latin does where a prefix or an ending is
    joined to a name (`SMSка`, `בWhatsApp`); with Cyrillic or Greek the word is wrong where all its
    letters of one of them can be replaced by those of the other, which look the same.
    """
    if text.isascii() or len(set(map(_alphabet, set(text))) - {None}) < 2:
        return []
    found = []
    for word in _words().findall(text):
        scripts = {_script(letter) for letter in word} & ALPHABETS
        if len(scripts - {"LATIN"}) > 1:
            found.append(word)
        elif len(word) > 2 and len(scripts) == 2 and scripts <= {"LATIN", "CYRILLIC", "GREEK"}:
            latin = {letter for letter in word if _script(letter) == "LATIN"}
            drawn = {as_latin for o, as_latin in LOOKALIKES.items() if _script(o) in scripts}
            if latin <= drawn or set(word) - latin <= set(LOOKALIKES):
                found.append(word)
    return found


def script_names(texts: Iterable[str]) -> list[str]:
    """The scripts that a tenth or more of the letters belong to, most letters first: `Hebrew`."""
    counts = Counter(_script(letter) for text in texts for letter in text if letter.isalpha())
    return [
        name.capitalize() for name, count in counts.most_common() if count >= counts.total() / 10
    ]


@cache
def _script(letter: str) -> str:
    """The script of a letter, by the first word of its Unicode name; for messages and counts."""
    return unicodedata.name(letter, "UNNAMED").split()[0].split("-")[0]


@cache
def _alphabet(character: str) -> str | None:
    """The alphabet that a character is of, if any."""
    script = _script(character)
    return script if script in ALPHABETS else None


@cache
def _own_letters(scripts: tuple[str, ...]) -> set[str]:
    """Characters of texts without letters outside of some scripts: filled as they come."""
    del scripts
    return set()


# `regex` knows scripts; the standard library does not. Here, because the rules are listed where it
# is not installed.
@cache
def _foreign(scripts: tuple[str, ...]) -> Any:
    import regex

    own = "".join(rf"\p{{scx={script}}}" for script in scripts)
    common = r"\p{sc=Zyyy}\p{sc=Zinh}"
    return regex.compile(
        rf"(?V1)(?P<latin>[\p{{L}}&&\p{{sc=Latn}}--[{own}{common}]]+)"
        rf"|[\p{{L}}--[\p{{sc=Latn}}{own}{common}]]+"
    )


@cache
def _letters() -> Any:
    import regex

    return regex.compile(r"\p{L}")


@cache
def _words() -> Any:
    import regex

    return regex.compile(r"[\p{L}\p{M}]+")
