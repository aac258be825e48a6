"""CTC alignment on a lattice that may leave words out and leave speech unaligned."""

from asr_gate.audit.align.lattice import align, prepare

__all__ = ["align", "prepare"]
