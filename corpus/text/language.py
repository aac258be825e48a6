"""Codes and names of languages, and whether two of them mean the same language."""

from __future__ import annotations

from collections.abc import Set
from functools import cache
from typing import TYPE_CHECKING

from asr_gate.corpus.errors import UserError

if TYPE_CHECKING:
    from langcodes import Language

NAMES = {
    "ar": "Arabic",
    "cs": "Czech",
    "da": "Danish",
    "de": "German",
    "el": "Greek",
    "en": "English",
    "es": "Spanish",
    "fa": "Persian",
    "fi": "Finnish",
    "fil": "Filipino",
    "fr": "French",
    "he": "Hebrew",
    "hi": "Hindi",
    "hu": "Hungarian",
    "id": "Indonesian",
    "it": "Italian",
    "ja": "Japanese",
    "ko": "Korean",
    "mk": "Macedonian",
    "ms": "Malay",
    "nl": "Dutch",
    "pl": "Polish",
    "pt": "Portuguese",
    "ro": "Romanian",
    "ru": "Russian",
    "sv": "Swedish",
    "th": "Thai",
    "tr": "Turkish",
    "vi": "Vietnamese",
    "yue": "Cantonese",
    "zh": "Chinese",
}
"""The names that Qwen3-ASR's released checkpoints were trained with, and Hebrew. They stand in
manifests and in the model's prompt."""

ANY = frozenset({"mul", "und"})
"""ISO 639 codes for several languages and for an unknown one; they match every language."""

_CODES = {name.lower(): code for code, name in NAMES.items()}


def language_code(name: str) -> str:
    """The ISO 639 code of a language that Qwen3-ASR names; any other name as it is.

    Readers use this, so that rows keep the language as the manifest says it.
    """
    return _CODES.get(name.strip().lower(), name)


def same_language(one: str, other: str) -> bool:
    """Whether two codes or English names mean the same language, whatever the region or script.

    `es` is `spa`, `German` is `de-AT`, `iw` is `he`; `fi` is not `fil`. `und` and `mul` match every
    language. What is neither a code nor a name matches only itself.
    """
    a, b = primary_code(one), primary_code(other)
    if {a, b} & ANY:
        return True
    if a is None or b is None:
        return one.strip().lower() == other.strip().lower()
    return closest_code(a, frozenset({b})) is not None


@cache
def parse_language(language: str) -> Language | None:
    """The language of an ISO 639 code, BCP 47 tag (`pt-BR`, `pt_BR`) or English name.

    Old codes are replaced by new ones (`iw` by `he`) and individual languages by their
    macrolanguage where BCP 47 prefers it (`cmn` by `zh`).

    Returns:
        None: there is no such language.
    """
    # Here, because the rules are listed where this library is not installed.
    import langcodes
    from langcodes.tag_parser import LanguageTagError

    name = language.strip()
    if not name or not name.isprintable():  # langcodes fails on control characters
        return None
    try:
        found = langcodes.Language.get(name)
        if found.is_valid() and not str(found).startswith("x-"):  # private use
            return found.prefer_macrolanguage()
    except LanguageTagError:  # a name, or nothing
        pass
    try:
        return langcodes.find(name, language="en").prefer_macrolanguage()
    except LookupError:
        return None


def primary_code(language: str) -> str | None:
    """The shortest ISO 639 code of a language, without region and script; None: there is none."""
    found = parse_language(language)
    return (found.language or "und") if found else None


@cache
def closest_code(language: str, codes: Set[str]) -> str | None:
    """The one of some ISO 639 codes that means a language; None: none does.

    Args:
        language: code or English name.
        codes: those to choose from, hashable; Norwegian Bokmål is `no` among codes without `nb`.
    """
    import langcodes

    own = primary_code(language)
    if own is None or own in codes:
        return own
    # A distance of 1 is that between codes for one language, as of `nb` and `no` (Unicode CLDR's
    # language matching); the next ones, such as Croatian and Bosnian, are further apart.
    found = langcodes.closest_supported_match(own, sorted(codes), max_distance=1)
    return None if found is None else str(found)


def require_language(language: str, option: str) -> None:
    """Check a language that a user gives.

    Args:
        language: code or English name.
        option: where it was given, for the message.

    Raises:
        UserError: there is no such language.
    """
    if parse_language(language) is None:
        raise UserError(
            f"{option} {language}: no such language; give an ISO 639 code (he, deu, pt-BR) or an "
            "English name (Hebrew)"
        )
