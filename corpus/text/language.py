"""Codes and names of languages."""

from __future__ import annotations

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
"""The names that Qwen3-ASR's released checkpoints were trained with, and Hebrew."""

_CODES = {name.lower(): code for code, name in NAMES.items()}


def language_code(name: str) -> str:
    """The ISO 639 code of a language that Qwen3-ASR names; any other name as it is."""
    return _CODES.get(name.strip().lower(), name)


def same_language(one: str, other: str) -> bool:
    """Whether two codes or names may mean one language: `en`, `en-US`, `eng`, `English`.

    `und` (unknown) and `mul` (many) go with every language.
    """
    a, b = one.lower(), other.lower()
    return {a, b} & {"und", "mul"} != set() or a.startswith(b) or b.startswith(a)
