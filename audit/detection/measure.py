"""Rows of a corpus, measured with every kind of defect planted in each of them."""

from __future__ import annotations

from collections.abc import Sequence

from asr_gate.audit.acoustic import AcousticModel
from asr_gate.audit.controls.plant import plan_controls
from asr_gate.audit.detection.known import KnownRow
from asr_gate.audit.engine.ledger import Progress
from asr_gate.audit.engine.measure import Measurer
from asr_gate.audit.pairing.search import said
from asr_gate.audit.records.measured import Measured
from asr_gate.audit.sample.lot import lot
from asr_gate.corpus.errors import UserError
from asr_gate.corpus.utterance import Corpus, Seconds, Utterance

LEAST = 20
"""Rows under which halves of them set no thresholds."""
GROUP = 50
"""Utterances decoded and heard at a time."""


def draw_rows(corpus: Corpus, most: int, seed: int, known: Sequence[KnownRow]) -> list[Utterance]:
    """At most so many rows of a corpus, in its order: all that are known, others by lot.

    Raises:
        UserError: a known row is not in the corpus, or there are too few rows to measure anything.
    """
    ids = {row.id for row in corpus.utterances}
    for row in known:
        if row.id not in ids:
            raise UserError(f"row {row.id} of the known ones is not in the corpus; check its id")
    if len(ids) < LEAST:
        raise UserError(
            f"{len(ids)} rows can be read, and it takes {LEAST} to measure anything; name more"
        )
    named = {row.id for row in known}
    order = sorted(ids, key=lambda i: (i not in named, lot(seed, "detection", i), i))
    chosen = set(order[:most])
    return [row for row in corpus.utterances if row.id in chosen]


def measure_planted(
    rows: Sequence[Utterance],
    model: AcousticModel,
    *,
    seed: int,
    batch_seconds: Seconds,
    progress: Progress,
) -> list[Measured]:
    """Measure all rows; those that cannot be heard or aligned come with their fault.

    Args:
        rows: of a corpus.
        model: hears them.
        seed: of what is planted.
        batch_seconds: padded audio in one batch on a GPU.
        progress: is told how far it is.
    """
    transcripts = {row.id: model.spell(said(row.text), row.lang) for row in rows}
    plantings = plan_controls(rows, transcripts, per_kind=len(rows), seed=seed)
    measurer = Measurer(model, transcripts, plantings, batch_seconds)
    found: list[Measured] = []
    progress.start(len(rows), 0)
    try:
        for start in range(0, len(rows), GROUP):
            group = rows[start : start + GROUP]
            found += measurer.measure(group, keep=lambda row: progress.advance(1, row.duration))
    finally:
        measurer.stop()
    return found
