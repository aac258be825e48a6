"""One model in one condition: every defect, every aligner."""

from __future__ import annotations

from dataclasses import dataclass

from asr_gate.audit.policy import Policy
from asr_gate.audit.records.controls import EVIDENCE_OF, KINDS, Kind
from bench.detection.competitors import COMPETITORS, fits
from bench.detection.material import Material
from bench.detection.ours import Audited, Tally, audit, doubts, tally_halves, worst
from bench.detection.rates import Rate, rate

DRAWS = 2
"""Draws of planted defects, each of as many of each kind as there are utterances."""


@dataclass(frozen=True)
class Measurement:
    """What everyone detects."""

    wer: float
    tally: Tally
    evidence: dict[Kind, Rate]
    """Ours, by the utterance's strongest evidence of the kind, the first of several. Here and in
    what follows without recordings that are shortened, which others would have to hear anew."""
    quality: dict[Kind, Rate]
    """Ours, by the one score that ranks utterances."""
    boundary: Rate
    """Ours, of removed words: the boundaries that they were taken from, among all boundaries."""
    others: dict[int, dict[Kind, Rate]]
    """By number in `COMPETITORS`; those that are installed."""
    unfit: int
    """Planted transcripts left out, since they need more frames than there are."""
    audited: Audited
    """Of the last draw."""


def measure(given: Material, policy: Policy) -> Measurement:
    """Measure all of it."""
    tally = Tally()
    ours: dict[Kind, list[float]] = {kind: [] for kind in KINDS}
    right: dict[Kind, list[float]] = {kind: [] for kind in KINDS}
    doubt: dict[Kind | None, list[float]] = {kind: [] for kind in (None, *KINDS)}
    here = {n: c for n, c in enumerate(COMPETITORS) if not c.absent}
    theirs: dict[int, dict[Kind, list[float]]] = {n: {kind: [] for kind in KINDS} for n in here}
    taken: list[float] = []
    whole: list[float] = []
    unfit = 0
    for seed in range(DRAWS):
        audited = audit(given, seed)
        natural = audited.natural
        whole += [gap.insertion for row in natural for gap in row.gaps]
        taken += [c.value for row in natural for c in row.controls if c.kind == "removed"]
        tally_halves(audited, policy, tally, seed)
        for kind in KINDS:
            ours[kind] += worst(audited.planted[kind], EVIDENCE_OF[kind])
            right[kind] += worst(natural, EVIDENCE_OF[kind])
        for group, values in doubts(audited, given, policy).items():
            doubt[group] += values
        for row, emission in zip(natural, given.emissions, strict=True):
            for defect in audited.plantings[row.id].planted:
                if defect.kind == "shortened":
                    continue
                if not fits(emission, defect.transcript, given.info):
                    unfit += 1
                    continue
                for n, competitor in here.items():
                    theirs[n][defect.kind].append(
                        competitor.doubt(emission, defect.transcript, given.info)
                    )
    others: dict[int, dict[Kind, Rate]] = {}
    for n, competitor in here.items():
        values = [
            competitor.doubt(emission, given.transcripts[u.id], given.info)
            for u, emission in zip(given.utterances, given.emissions, strict=True)
        ]
        others[n] = {kind: rate(found, values) for kind, found in theirs[n].items() if found}
    return Measurement(
        wer=given.wer,
        tally=tally,
        evidence={kind: rate(found, right[kind]) for kind, found in ours.items() if found},
        quality={kind: rate(doubt[kind], doubt[None]) for kind in KINDS if doubt[kind]},
        boundary=rate(taken, whole),
        others=others,
        unfit=unfit,
        audited=audited,
    )
