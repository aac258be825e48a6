"""Alignment of a transcript to an emission: word spans, and the evidence of every defect."""

from asr_gate.audit.align.interface import AlignedWord, Alignment, Gap, Unalignable
from asr_gate.audit.align.lattice import align, hear

__all__ = ["AlignedWord", "Alignment", "Gap", "Unalignable", "align", "hear"]
