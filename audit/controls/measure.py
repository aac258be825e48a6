"""What the aligner finds where a defect was planted."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from asr_gate.audit.acoustic.interface import ModelInfo
from asr_gate.audit.align import lattice
from asr_gate.audit.controls.plant import Planted, Planting
from asr_gate.audit.records.alignment import Alignment
from asr_gate.audit.records.controls import Control

NO_LOSS = 0.1
"""Nats a letter: a wrong text that costs less is as good as none to compare with."""


MAX_CELLS = 200_000_000
"""Frames times letters of a control; about ten minutes of speech. Longer ones would take longer
than all the others together."""


def median_cohort_loss(
    prepared: lattice.PreparedEmission, planting: Planting, model: ModelInfo
) -> float | None:
    """What texts of others cost on this audio, nats a letter, their median; None: none fits."""
    losses = [lattice.text_loss(prepared, text, model) for text in planting.cohort]
    fitting = [loss for loss in losses if loss is not None]
    return max(NO_LOSS, float(np.median(fitting))) if fitting else None


def measure_controls(
    prepared: lattice.PreparedEmission,
    own: Alignment,
    planting: Planting,
    cohort_loss: float | None,
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
        value = _evidence(prepared, own, planted, cohort_loss, model)
        if value is not None:
            yield Control(planted.kind, value)


def _evidence(
    prepared: lattice.PreparedEmission,
    own: Alignment,
    planted: Planted,
    cohort_loss: float | None,
    model: ModelInfo,
) -> float | None:
    if planted.kind == "swapped":
        loss = lattice.text_loss(prepared, planted.transcript, model)
        return None if loss is None or cohort_loss is None else loss / cohort_loss
    p = lattice.problem(prepared, planted.transcript, model)
    frames = len(prepared.scores)
    if p.needed > frames or frames * len(p.tokens) > MAX_CELLS:
        return None
    at = planted.at
    # Either of two copies may be the one that is not said.
    copies = slice(at, at + (2 if planted.kind == "doubled" else 1))
    near = range(max(0, at - 1), min(len(p.first), copies.stop) + 1)
    single = lattice.solve_single_edit(p, near)

    def unconstrained() -> lattice.Unconstrained:
        return lattice.solve_unconstrained(p, model.temperature, near)

    if planted.kind == "replaced":
        return float(lattice.substitution(p, single, unconstrained())[at])
    missing = planted.kind in ("removed", "cut")
    gain = lattice.insertion_alone(single) if missing else lattice.deletion_alone(p, single)
    best = at + int(gain[copies].argmax())
    masked_here = not missing and lattice.may_be_masked(p, best, own, model.stride)
    if lattice.peaks(gain)[best] and not masked_here:
        return float(gain[best])  # mostly, and the free pass is half the work
    evidence = lattice.insertion if missing else lattice.deletion
    return float(evidence(p, single, unconstrained())[copies].max())
