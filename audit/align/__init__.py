"""CTC alignment on a lattice that may leave words out and leave speech unaligned."""

from asr_gate.audit.align.evidence import strongest, strongest_of_each
from asr_gate.audit.align.lattice import align
from asr_gate.audit.align.passes import text_loss
from asr_gate.audit.align.problem import PreparedEmission, prepare

__all__ = [
    "PreparedEmission",
    "align",
    "prepare",
    "strongest",
    "strongest_of_each",
    "text_loss",
]
