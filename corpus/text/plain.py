"""Text of others in terminals and reports: control characters are shown, not obeyed."""

from __future__ import annotations

import unicodedata

_STEERING = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Control and format characters (escape sequences, bidirectional overrides), half surrogates, and
separators of lines."""


def plain(text: str) -> str:
    """The text on one line, with control and format characters as escapes (`\\x1b`)."""
    return "".join(
        character.encode("unicode_escape").decode()
        if unicodedata.category(character) in _STEERING
        else character
        for character in " ".join(text.split())
    )
