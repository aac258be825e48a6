"""Text of others in terminals and reports: control characters are shown, not obeyed."""

from __future__ import annotations

import re
import unicodedata

_STEERING = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Control and format characters (escape sequences, bidirectional overrides), half surrogates, and
separators of lines."""


_RIGHT_TO_LEFT = "\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc\U00010800-\U00010fff\U0001e800-\U0001efff"
_RUN = re.compile(rf"[{_RIGHT_TO_LEFT}](?:[{_RIGHT_TO_LEFT}\W\d_]*[{_RIGHT_TO_LEFT}])?")
"""Letters that are written from right to left, with what stands between them."""


def plain(text: str) -> str:
    """The text on one line, with control and format characters as escapes (`\\x1b`)."""
    return "".join(
        character.encode("unicode_escape").decode()
        if unicodedata.category(character) in _STEERING
        else character
        for character in " ".join(text.split())
    )


def isolated(text: str) -> str:
    """Text of others as `plain` gives it, in a line that is read from left to right.

    Unicode isolates around Hebrew and Arabic (UAX #9): without them such letters turn round the
    numbers and marks beside them, or a whole line that begins with them. For lines that people
    read; a name or a path that is copied from one must be `plain`.
    """
    return _RUN.sub(lambda run: f"\u2068{run[0]}\u2069", plain(text))
