"""CTC acoustic models behind one interface."""

from asr_gate.audit.acoustic.interface import AcousticModel, Emission, load_model

__all__ = ["AcousticModel", "Emission", "load_model"]
