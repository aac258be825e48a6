"""Finds a family by its name in a recipe, or by a checkpoint."""

from __future__ import annotations

from asr_gate.corpus.errors import UserError
from asr_gate.train.families.interface import Family
from asr_gate.train.model.hub import read_config
from asr_gate.train.recipes import FAMILIES, FamilyName


def family(name: FamilyName) -> Family:
    """The family of this name; the others are not imported."""
    match name:
        case "qwen3-asr":
            from asr_gate.train.families.qwen3_asr.family import Qwen3ASR

            return Qwen3ASR()
        case "ctc-embedded":
            from asr_gate.train.families.ctc_embedded import EmbeddedCtc

            return EmbeddedCtc()
        case "ctc":
            from asr_gate.train.families.ctc.family import Ctc

            return Ctc()
        case "whisper":
            from asr_gate.train.families.whisper.family import Whisper

            return Whisper()


def family_of(checkpoint: str) -> Family:
    """The family of a checkpoint: a folder, an id on the Hugging Face hub, or one that is bundled.

    Raises:
        UserError: not there, not reachable, or of no family.
    """
    for name in FAMILIES:
        if checkpoint == family(name).bundled:
            return family(name)
    config = read_config(checkpoint, None)
    for name in FAMILIES:
        one = family(name)
        if one.recognises(config):
            return one
    raise UserError(
        f"{checkpoint}: holds a {config.get('model_type')} model, which is of none of the families "
        f"that can be trained ({', '.join(FAMILIES)})"
    )
