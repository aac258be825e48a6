"""What the aligner finds where a defect was planted."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from asr_gate.audit.acoustic.interface import ModelInfo
from asr_gate.audit.align import PreparedEmission, strongest, text_loss
from asr_gate.audit.controls.plant import Planted, Planting
from asr_gate.audit.records.alignment import Alignment
from asr_gate.audit.records.controls import EVIDENCE_OF, Control

NO_LOSS = 0.1
"""Nats a letter: a wrong text that costs less is as good as none to compare with."""

MAX_CELLS = 200_000_000
"""Frames times letters of a control; about ten minutes of speech. Longer ones would take longer
than all the others together."""


def median_cohort_loss(
    emission: PreparedEmission, planting: Planting, model: ModelInfo
) -> float | None:
    """Median of what other utterances' texts cost here, nats a letter; None: none fits."""
    losses = [text_loss(emission, text, model) for text in planting.cohort]
    fitting = [loss for loss in losses if loss is not None]
    return max(NO_LOSS, float(np.median(fitting))) if fitting else None


def measure_controls(
    emission: PreparedEmission,
    own: Alignment,
    planting: Planting,
    cohort_loss: float | None,
    model: ModelInfo,
) -> Iterator[Control]:
    """Align the planted transcripts of one utterance, except those that its audio is too short for.

    Args:
        emission: the utterance's.
        own: the utterance's own alignment on it.
        planting: what is planted.
        cohort_loss: of `median_cohort_loss`.
        model: of the emission.
    """
    for planted in planting.planted:
        value = _evidence(emission, own, planted, cohort_loss, model)
        if value is not None:
            yield Control(planted.kind, value)


def _evidence(
    emission: PreparedEmission,
    own: Alignment,
    planted: Planted,
    cohort_loss: float | None,
    model: ModelInfo,
) -> float | None:
    evidence = EVIDENCE_OF[planted.kind]
    if evidence == "mismatch":
        loss = text_loss(emission, planted.transcript, model)
        return None if loss is None or cohort_loss is None else loss / cohort_loss
    # Either of two copies may be the one that is not said.
    places = range(planted.at, planted.at + (2 if planted.kind == "doubled" else 1))
    return strongest(
        "insertion" if evidence == "edge" else evidence,
        places,
        emission,
        planted.transcript,
        own,
        model,
        max_cells=MAX_CELLS,
    )
