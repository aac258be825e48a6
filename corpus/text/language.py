"""Names of languages."""

from __future__ import annotations


def same_language(one: str, other: str) -> bool:
    """Whether two codes or names may mean one language: `en`, `en-US`, `eng`, `English`.

    `und` (unknown) and `mul` (many) go with every language.
    """
    a, b = one.lower(), other.lower()
    return {a, b} & {"und", "mul"} != set() or a.startswith(b) or b.startswith(a)
