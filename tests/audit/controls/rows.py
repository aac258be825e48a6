"""Utterances with evidence as a test says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np

from asr_gate.audit.policy import load_policy
from asr_gate.audit.records.alignment import AlignedWord, Gap
from asr_gate.audit.records.controls import (
    EVIDENCE_OF,
    THRESHOLD_KINDS,
    Control,
    Evidence,
    Kind,
)
from asr_gate.audit.records.judged import Judged, JudgedGap, JudgedWord
from asr_gate.audit.records.measured import Measured
from asr_gate.corpus.speech.stored import Signal

SIGNAL = Signal(16000, 1, 0.0, 0.0, 8000.0, 0.0, None)
"""Nothing is wrong with it."""
POLICY = load_policy()
FLOORS = POLICY.controls.floors()
RATE = POLICY.controls.false_alarm


def row(
    number: int,
    domain: str = "d",
    *,
    mismatch: float | None = 0.1,
    deletion: float = -5.0,
    other: float = -5.0,
    speech: float = -5.0,
    edge: float = -5.0,
    planted: dict[Kind, float] | None = None,
    confidence: float = 0.9,
) -> Measured:
    """One utterance of two words and three gaps."""
    words = tuple(
        AlignedWord(
            "letter", 6, at, at + 0.4, True, True, confidence, deletion, other, masked=False
        )
        for at in (0.1, 0.5)
    )
    gaps = tuple(
        Gap(at, at, None, evidence)
        for at, evidence in ((0.1, edge), (0.5, max(edge, speech)), (0.9, edge))
    )
    return Measured(
        id=f"{domain}-{number}",
        domain=domain,
        lang="en",
        text="letter letter",
        duration=1.0,
        speech_seconds=0.8,
        peak_db=-10.0,
        speech_to_noise=30.0,
        signal=SIGNAL,
        letters=12,
        unknown=0,
        dropped=0,
        activity=((0.1, 0.9),),
        words=words,
        gaps=gaps,
        unaligned=(),
        heard=(),
        loss=0.0 if mismatch is None else mismatch,
        cohort_loss=None if mismatch is None else 1.0,
        tokens=8,
        lags=(),
        controls=tuple(Control(kind, value) for kind, value in (planted or {}).items()),
        fault=None,
    )


def judged(measured: Measured, **figures: float) -> Judged:
    """An utterance whose words are all said, with figures as a test says."""
    words = tuple(
        JudgedWord(w.text, w.letters, w.start, w.end, w.kept, w.confidence, w.masked, 0.98, 0.02)
        for w in measured.words
    )
    gaps = tuple(JudgedGap(g.start, g.end, g.insertion, 0.02) for g in measured.gaps)
    usual = {"text_coverage": 1.0, "speech_coverage": 0.95, "confidence": 0.9, "quality": 0.85}
    return Judged(measured, words, gaps, **(usual | figures))


def normal_rows(
    count: int,
    seed: int,
    *,
    domain: str = "d",
    apart: Mapping[Kind, float] | float = 8.0,
    defects: Mapping[Evidence, float] | None = None,
    per_kind: int | None = None,
) -> list[Measured]:
    """Right transcripts with evidence around 0, planted ones around `apart`, spread 1.

    Evidence of a mismatch is a tenth of this above 0.2, since it counts only above 0.1.

    Args:
        count: utterances.
        seed: of the draw.
        domain: of all of them.
        apart: where planted evidence lies, by kind or for all.
        defects: by evidence, share of utterances that have it as if a defect were planted in them.
        per_kind: how many have controls; None: all.
    """
    random = np.random.default_rng([seed, count])
    bad = defects or {}

    def draw(centre: float) -> float:
        return centre + float(random.standard_normal())

    def rows() -> Iterator[Measured]:
        for number in range(count):
            shift = {k: apart if isinstance(apart, float) else apart[k] for k in THRESHOLD_KINDS}
            by_evidence = {EVIDENCE_OF[kind]: shift[kind] for kind in THRESHOLD_KINDS}
            found = {
                evidence: draw(centre if number < round(bad.get(evidence, 0) * count) else 0.0)
                for evidence, centre in by_evidence.items()
            }
            planted = {kind: draw(shift[kind]) for kind in THRESHOLD_KINDS}
            # Edges are gaps too: the strongest gap is never less than an edge.
            planted["removed"] = max(planted["removed"], found["edge"])
            planted["swapped"] = 0.2 + planted["swapped"] / 10
            yield row(
                number,
                domain,
                mismatch=0.2 + found["mismatch"] / 10,
                deletion=found["deletion"],
                other=found["substitution"],
                speech=found["insertion"],
                edge=found["edge"],
                planted=planted if per_kind is None or number < per_kind else None,
            )

    return list(rows())


DIGITS = (
    0.0, 0.0, 0.0, 0.0, 0.16, 0.19, 0.27, 0.28, 0.29, 0.42, 0.45, 0.59, 0.63, 0.69, 0.75, 0.76,
    0.76, 0.77, 0.83, 0.84, 0.84, 0.85, 0.88, 0.88, 0.90, 0.96, 1.08, 1.09, 1.21, 1.33,
)  # fmt: skip
SWAPPED = (
    0.58, 0.63, 0.80, 0.82, 0.83, 0.83, 0.87, 0.89, 0.89, 0.89, 0.90, 0.97, 0.98, 0.98, 0.99, 0.99,
    1.02, 1.02, 1.02, 1.05, 1.06, 1.06, 1.09, 1.13, 1.16, 1.19, 1.19, 1.25, 1.34, 1.50,
)  # fmt: skip
"""Mismatch of 30 right transcripts of spoken digits by QuartzNet 15x5, and of those swapped."""


def spoken_digits() -> list[Measured]:
    """Rows of a domain of single words; only the mismatch differs from that of sound ones."""
    rows = normal_rows(len(DIGITS), 7, domain="digits")
    return [
        replace(
            row,
            letters=4,
            loss=value,
            controls=(
                *(control for control in row.controls if control.kind != "swapped"),
                Control("swapped", swapped),
            ),
        )
        for row, value, swapped in zip(rows, DIGITS, SWAPPED, strict=True)
    ]
