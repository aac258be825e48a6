"""Words in Latin letters, for models that write no others."""

from __future__ import annotations

from functools import cache
from typing import Any

from asr_gate.corpus.text.language import parse_language


def romanise(word: str, language: str) -> str:
    """A word in Latin letters (Hermjakob et al., "Out-of-the-box Universal Romanization", 2018).

    Args:
        word: in any script.
        language: code or English name, by which uroman chooses rules; `mul`: rules for all.
    """
    if word.isascii():
        return word
    return str(_uroman().romanize_string(word, lcode=_code(language)))


@cache
def _code(language: str) -> str | None:
    """ISO 639-3; None: no certain language."""
    found = parse_language(language)
    return found.to_alpha3() if found and found.language not in (None, "mul", "und") else None


@cache
def _uroman() -> Any:
    """The romaniser, which takes seconds to load, once a process."""
    import uroman

    return uroman.Uroman()
