"""The audit's own evidence, by the audit's own code."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from asr_gate.audit.align import align, prepare
from asr_gate.audit.controls.calibrate import calibrate
from asr_gate.audit.controls.plant import Planted, Planting, plan_controls
from asr_gate.audit.engine.measure import Measurer
from asr_gate.audit.judge import judge
from asr_gate.audit.policy import Policy
from asr_gate.audit.records.alignment import Alignment, Unalignable
from asr_gate.audit.records.controls import EVIDENCE, EVIDENCE_OF, KINDS, Evidence, Kind
from asr_gate.audit.records.measured import Measured
from asr_gate.corpus.speech.detector import Detector
from bench.detection.material import BATCH_SECONDS, Material

HALVINGS = 10
"""How often the utterances are divided at random into those that set thresholds and the others."""


@dataclass(frozen=True)
class Audited:
    """One draw of planted defects, measured as an audit measures it."""

    plantings: Mapping[str, Planting]
    natural: list[Measured]
    planted: dict[Kind, list[Measured]]
    """Utterances as if the planted transcript were their own."""
    there: dict[tuple[str, Kind], dict[Evidence, float]]
    """By utterance and kind: evidence of every sort at the words and gaps of the planted defect."""


@dataclass
class Tally:
    """Counts over all halvings; by kind or by evidence."""

    planted: Counter[Kind] = field(default_factory=Counter)
    found: Counter[Kind] = field(default_factory=Counter)
    """At the planted place, by the evidence that must find the kind."""
    pointed: Counter[Kind] = field(default_factory=Counter)
    """At the planted place, by that or by evidence of any other sort that counts."""
    underpowered: Counter[Kind] = field(default_factory=Counter)
    """Calibrations that found themselves underpowered."""
    calibrations: int = 0
    judged: int = 0
    alarms: Counter[Evidence] = field(default_factory=Counter)
    """Utterances as they are in which the evidence passes."""
    any_alarm: int = 0
    unheard: int = 0
    """Utterances of which the audit says that the model hears too little; it looks for nothing in
    them, so that what is planted there is not found."""
    flagged: Counter[tuple[str, Evidence]] = field(default_factory=Counter)
    thresholds: dict[Evidence, list[float]] = field(
        default_factory=lambda: {evidence: [] for evidence in EVIDENCE}
    )

    def share_found(self, kind: Kind) -> float:
        """Of the planted defects."""
        return self.found[kind] / max(1, self.planted[kind])

    def share_pointed(self, kind: Kind) -> float:
        """Of the planted defects, by any finding there."""
        return self.pointed[kind] / max(1, self.planted[kind])

    def share_alarms(self, kind: Kind) -> float:
        """Of the utterances as they are, by the evidence that must find this kind."""
        return self.alarms[EVIDENCE_OF[kind]] / max(1, self.judged)


def audit(given: Material, seed: int, detector: Detector = "silero") -> Audited:
    """Plant defects, as many of each kind as there are utterances, and measure."""
    plantings = plan_controls(
        given.utterances, given.transcripts, per_kind=len(given.utterances), seed=seed
    )
    measurer = Measurer(given.model, given.transcripts, plantings, BATCH_SECONDS, detector=detector)
    try:
        natural = measurer.measure(given.utterances)
    finally:
        measurer.stop()
    planted: dict[Kind, list[Measured]] = {kind: [] for kind in KINDS}
    there: dict[tuple[str, Kind], dict[Evidence, float]] = {}
    for row, emission in zip(natural, given.emissions, strict=True):
        prepared = prepare(emission, given.info, row.activity)
        for defect in plantings[row.id].planted:
            if defect.kind == "shortened":
                continue  # the transcript is right, and the sound would have to change
            found = align(prepared, defect.transcript, given.info)
            if not isinstance(found, Unalignable):
                there[row.id, defect.kind] = _evidence_there(found, defect)
                planted[defect.kind].append(
                    replace(
                        row,
                        words=found.words,
                        gaps=found.gaps,
                        unaligned=found.unaligned,
                        loss=found.loss,
                        letters=defect.transcript.letters,
                        lags=(),
                    )
                )
    return Audited(plantings, natural, planted, there)


def _evidence_there(found: Alignment, defect: Planted) -> dict[Evidence, float]:
    """Evidence at the words of a defect and the gaps around them; where words are missing, at those
    beside the gap and around, since a short one of them may be heard on either side of what is
    missing; of a swapped text none, since it has no place.
    """
    at, last = defect.at, len(found.words)
    if defect.kind == "swapped":
        return {}
    if defect.kind in ("removed", "cut"):
        words = range(max(0, at - 1), min(last, at + 1))
    else:
        words = range(at, at + defect.words + (defect.kind == "doubled"))
    gaps = range(words.start, words.stop + 1)
    values: dict[Evidence, float] = {
        "deletion": max(found.words[i].deletion for i in words),
        "substitution": max(found.words[i].substitution for i in words),
        "insertion": max(found.gaps[i].insertion for i in gaps),
    }
    edges = [found.gaps[i].insertion for i in gaps if i in (0, last)]
    return {**values, "edge": max(edges)} if edges else values


def worst(rows: Sequence[Measured], evidence: Evidence) -> list[float]:
    """The strongest evidence in each utterance."""
    return [value for row in rows if (value := row.evidence(evidence)) is not None]


def doubts(audited: Audited, given: Material, policy: Policy) -> dict[Kind | None, list[float]]:
    """1 - quality, by kind; None: utterances as they are."""
    calibration = calibrate(
        audited.natural,
        false_alarm=policy.controls.false_alarm,
        floors=policy.controls.floors(),
    )
    groups: dict[Kind | None, list[Measured]] = {None: audited.natural}
    groups.update(audited.planted.items())
    everything = [row for rows in groups.values() for row in rows]
    judged = iter(judge(everything, calibration, given.info.delay)[0])
    return {kind: [1 - next(judged).quality for _ in rows] for kind, rows in groups.items()}


def tally_halves(audited: Audited, policy: Policy, tally: Tally, seed: int) -> None:
    """Set thresholds on one half of the utterances and count on the other, both ways, often."""
    for number in range(HALVINGS):
        order = list(audited.natural)
        random.Random(f"{seed}:{number}").shuffle(order)
        for start in (0, 1):
            _tally(order[start::2], order[1 - start :: 2], audited.there, policy, tally)


def _tally(
    setting: Sequence[Measured],
    counting: Sequence[Measured],
    there: Mapping[tuple[str, Kind], Mapping[Evidence, float]],
    policy: Policy,
    tally: Tally,
) -> None:
    calibration = calibrate(
        setting, false_alarm=policy.controls.false_alarm, floors=policy.controls.floors()
    )
    tally.calibrations += 1
    (domain,) = calibration.thresholds
    tally.underpowered.update(calibration.underpowered.get(domain, ()))
    thresholds = calibration.thresholds[domain]
    for evidence, threshold in thresholds.items():
        tally.thresholds[evidence].append(threshold)
    for row in counting:
        tally.judged += 1
        if not calibration.recognises_enough(row):
            tally.unheard += 1
            tally.planted.update(control.kind for control in row.controls)
            continue
        passing = [
            evidence
            for evidence in EVIDENCE
            if (value := row.evidence(evidence)) is not None and value > thresholds[evidence]
        ]
        tally.alarms.update(passing)
        tally.any_alarm += bool(passing)
        tally.flagged.update((row.id, evidence) for evidence in passing)
        for control in row.controls:
            tally.planted[control.kind] += 1
            found = control.passes(thresholds)
            tally.found[control.kind] += found
            tally.pointed[control.kind] += found or any(
                value > thresholds[evidence] and calibration.can_detect(domain, evidence)
                for evidence, value in there.get((row.id, control.kind), {}).items()
            )
