"""What the aligner finds where a defect was planted."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from asr_gate.audit.acoustic.interface import ModelInfo
from asr_gate.audit.align import Alignment, lattice
from asr_gate.audit.controls.kinds import Control
from asr_gate.audit.controls.plant import Planted, Planting

NO_LOSS = 0.1
"""Nats a letter: a wrong text that costs less is as good as none to compare with."""


MAX_CELLS = 200_000_000
"""Frames times letters of a control; about ten minutes of speech. Longer ones would take longer
than all the others together."""


def foreign_loss(heard: lattice.Heard, planting: Planting, model: ModelInfo) -> float | None:
    """What texts of others cost on this audio, nats a letter, their median; None: none fits."""
    losses = [lattice.text_loss(heard, text, model) for text in planting.cohort]
    fitting = [loss for loss in losses if loss is not None]
    return max(NO_LOSS, float(np.median(fitting))) if fitting else None


def measure_controls(
    heard: lattice.Heard,
    own: Alignment,
    planting: Planting,
    foreign: float | None,
    model: ModelInfo,
) -> Iterator[Control]:
    """Align the planted transcripts of one utterance, less those that its audio is too short for.

    Args:
        heard: the emission.
        own: the utterance's own alignment on it.
        planting: what is planted.
        foreign: of `foreign_loss`.
        model: of the emission.
    """
    for planted in planting.planted:
        value = _evidence(heard, own, planted, foreign, model)
        if value is not None:
            yield Control(planted.kind, value)


def _evidence(
    heard: lattice.Heard,
    own: Alignment,
    planted: Planted,
    foreign: float | None,
    model: ModelInfo,
) -> float | None:
    if planted.kind == "swapped":
        loss = lattice.text_loss(heard, planted.transcript, model)
        return None if loss is None or foreign is None else loss / foreign
    p = lattice.problem(heard, planted.transcript, model)
    frames = len(heard.scores)
    if p.needed > frames or frames * len(p.tokens) > MAX_CELLS:
        return None
    at = planted.at
    # Either of two copies may be the one that is not said.
    copies = slice(at, at + (2 if planted.kind == "doubled" else 1))
    near = range(max(0, at - 1), min(len(p.first), copies.stop) + 1)
    strict = lattice.solve_strict(p, near)

    def free() -> lattice.Free:
        return lattice.solve_free(p, model.temperature, near)

    if planted.kind == "replaced":
        return float(lattice.other(p, strict, free())[at])
    missing = planted.kind in ("removed", "cut")
    gain = lattice.speech_alone(strict) if missing else lattice.unsaid_alone(p, strict)
    best = at + int(gain[copies].argmax())
    drown = not missing and lattice.may_drown(p, best, own, model.stride)
    if lattice.peaks(gain)[best] and not drown:
        return float(gain[best])  # mostly, and the free pass is half the work
    evidence = lattice.speech if missing else lattice.unsaid
    return float(evidence(p, strict, free())[copies].max())
