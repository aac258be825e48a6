"""Alignment of a transcript to an emission: word spans, word confidences, kept words."""

from audit.align.interface import AlignedWord, Alignment, Unalignable

__all__ = ["AlignedWord", "Alignment", "Unalignable"]
