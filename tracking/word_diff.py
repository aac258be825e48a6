"""The difference between a transcript and a reference, as one line of text."""

from __future__ import annotations

from difflib import SequenceMatcher


def word_diff(reference: str, hypothesis: str) -> str:
    """Word by word, in the notation of wdiff: `the [-red-] {+read+} car`."""
    expected, recognised = reference.split(), hypothesis.split()
    parts = []
    matcher = SequenceMatcher(None, expected, recognised, autojunk=False)
    for kind, i, j, k, m in matcher.get_opcodes():
        if kind == "equal":
            parts += expected[i:j]
            continue
        if i < j:
            parts.append(f"[-{' '.join(expected[i:j])}-]")
        if k < m:
            parts.append("{+" + " ".join(recognised[k:m]) + "+}")
    return " ".join(parts)
