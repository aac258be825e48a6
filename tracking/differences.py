"""How a transcript differs from what was said, in one line of text."""

from __future__ import annotations

from difflib import SequenceMatcher


def difference(reference: str, hypothesis: str) -> str:
    """Word by word, as wdiff writes it: `the [-red-] {+read+} car`."""
    said, heard = reference.split(), hypothesis.split()
    parts = []
    matcher = SequenceMatcher(None, said, heard, autojunk=False)
    for kind, i, j, k, m in matcher.get_opcodes():
        if kind == "equal":
            parts += said[i:j]
            continue
        if i < j:
            parts.append(f"[-{' '.join(said[i:j])}-]")
        if k < m:
            parts.append("{+" + " ".join(heard[k:m]) + "+}")
    return " ".join(parts)
