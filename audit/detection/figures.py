"""From measured rows to figures: each planted kind and the known errors, against right rows."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from asr_gate.audit.controls.calibrate import calibrate
from asr_gate.audit.detection.curves import Curve, Figures, Scores, curve, figures
from asr_gate.audit.policy import Policy
from asr_gate.audit.records.controls import EVIDENCE, EVIDENCE_OF, FOUND_BY, KINDS, Evidence
from asr_gate.audit.records.measured import Measured
from asr_gate.audit.records.power import MIN_PLANTED, Calibration

KNOWN = "known errors"
RESAMPLINGS = 200
"""How often half of the rows set thresholds and the other half is counted."""


@dataclass(frozen=True)
class HeldOut:
    """What thresholds do on rows that did not set them; shares are 0 to 1."""

    found: dict[str, float]
    """Share of planted defects, by kind."""
    false_alarms: dict[Evidence, float]
    """Share of right rows that pass, over all resamplings."""
    worst_false_alarms: dict[Evidence, float]
    """The same in the resampling that 95 % of them stay under."""


@dataclass(frozen=True)
class Kind:
    """One kind of planted defect, or the known errors."""

    bad: int
    good: int
    figures: Figures
    curve: Curve


@dataclass(frozen=True)
class Detection:
    """What an aligner detects in a corpus."""

    right: int
    """Rows that count as right."""
    kinds: dict[str, Kind]
    held_out: HeldOut


def detection(
    rows: Sequence[Measured],
    policy: Policy,
    *,
    wrong: Collection[str] = (),
    doubtful: Collection[str] = (),
    speakers: Mapping[str, str] = MappingProxyType({}),
    seed: int = 0,
    resamplings: int = RESAMPLINGS,
) -> Detection:
    """Figures of everything that was planted, and of the known errors.

    The score of a row is its strongest evidence by which a kind is found, as log-odds. The score of
    a planted defect is the evidence at its place, which is never more than that of its row.

    Args:
        rows: measured, with controls.
        policy: the rate of false alarms, and the limits.
        wrong, doubtful: ids of rows known to be so; all others count as right.
        speakers: by id of a row; nobody's rows both set thresholds and are counted. Rows that are
            not in it are divided one by one.
        seed: of the bootstrap and of the resamplings.
        resamplings: how many.
    """
    calibration = _calibrate(rows, policy)
    heard = [
        row
        for row in rows
        if row.evidence("deletion") is not None and calibration.recognises_enough(row)
    ]
    right = [n for n, row in enumerate(heard) if row.id not in {*wrong, *doubtful}]
    found: dict[str, Kind] = {}
    for kind in KINDS:
        good = {
            n: _score(_evidence(heard[n], FOUND_BY[kind]), heard[n], calibration) for n in right
        }
        bad = [
            (n, _score({EVIDENCE_OF[kind]: c.value, **c.also}, heard[n], calibration))
            for n in right
            for c in heard[n].controls
            if c.kind == kind
        ]
        if len(bad) >= MIN_PLANTED:
            found[kind] = _kind(bad, [*good.items()], seed)
    everything = tuple(EVIDENCE)
    known = [
        (n, _score(_evidence(row, everything), row, calibration))
        for n, row in enumerate(heard)
        if row.id in wrong
    ]
    if known and right:
        good = {n: _score(_evidence(heard[n], everything), heard[n], calibration) for n in right}
        found[KNOWN] = _kind(known, [*good.items()], seed)
    aside = {*wrong, *doubtful}
    return Detection(len(right), found, _held_out(rows, policy, aside, speakers, seed, resamplings))


def halves(
    rows: Sequence[Measured], speakers: Mapping[str, str], seed: str
) -> tuple[list[Measured], list[Measured]]:
    """Divide rows at random into halves that have no speaker in common.

    Args:
        rows: measured.
        speakers: by id of a row; a row that is not in it has a speaker of its own.
        seed: of the halves.
    """
    groups: dict[tuple[bool, str], list[Measured]] = {}
    for row in rows:
        known = row.id in speakers
        groups.setdefault((known, speakers[row.id] if known else row.id), []).append(row)
    order = list(groups.values())
    random.Random(seed).shuffle(order)
    one: list[Measured] = []
    two: list[Measured] = []
    for group in order:
        (one if len(one) <= len(two) else two).extend(group)
    return one, two


def _held_out(
    rows: Sequence[Measured],
    policy: Policy,
    aside: Collection[str],
    speakers: Mapping[str, str],
    seed: int,
    resamplings: int,
) -> HeldOut:
    """Set thresholds on a random half of the speakers and count on the other, both ways, often.

    Args:
        rows: measured, with controls.
        policy: as in `detection`.
        aside: ids of rows that are no right ones; they set thresholds as all others do, since
            nobody would know of them.
        speakers: as in `detection`.
        seed: of the halves.
        resamplings: halves to count on.
    """
    found: Counter[str] = Counter()
    planted: Counter[str] = Counter()
    alarms: dict[Evidence, list[tuple[int, int]]] = {evidence: [] for evidence in EVIDENCE}
    for number in range(resamplings):
        divided = halves(rows, speakers, f"{seed}:{number // 2}")
        calibration = _calibrate(divided[number % 2], policy)
        counted = [row for row in divided[1 - number % 2] if row.domain in calibration.thresholds]
        heard = [row for row in counted if calibration.recognises_enough(row)]
        planted.update(control.kind for row in counted for control in row.controls)
        for row in heard:
            thresholds = calibration.thresholds[row.domain]
            found.update(c.kind for c in row.controls if c.passes(thresholds))
        right = [row for row in heard if row.id not in aside]
        for evidence, counts in alarms.items():
            values = [(row.domain, row.evidence(evidence)) for row in right]
            passing = [
                value > calibration.thresholds[domain][evidence]
                for domain, value in values
                if value is not None
            ]
            counts.append((sum(passing), len(passing)))
    totals = {e: np.array(counts).reshape(-1, 2) for e, counts in alarms.items()}
    return HeldOut(
        {kind: found[kind] / planted[kind] for kind in KINDS if planted[kind]},
        {e: float(t[:, 0].sum() / max(1, t[:, 1].sum())) for e, t in totals.items()},
        {e: float(np.quantile(t[:, 0] / np.maximum(1, t[:, 1]), 0.95)) for e, t in totals.items()},
    )


def _calibrate(rows: Sequence[Measured], policy: Policy) -> Calibration:
    return calibrate(rows, false_alarm=policy.controls.false_alarm, floors=policy.controls.floors())


def _kind(bad: Sequence[tuple[int, float]], good: Sequence[tuple[int, float]], seed: int) -> Kind:
    scores = Scores(
        np.array([score for _, score in bad]),
        np.array([score for _, score in good]),
        np.array([number for number, _ in bad]),
        np.array([number for number, _ in good]),
    )
    return Kind(len(bad), len(good), figures(scores, seed=seed), curve(scores))


def _evidence(row: Measured, sorts: Sequence[Evidence]) -> dict[Evidence, float]:
    return {one: value for one in sorts if (value := row.evidence(one)) is not None}


def _score(found: Mapping[Evidence, float], row: Measured, calibration: Calibration) -> float:
    """Log-odds of a defect by the strongest evidence; 0 at the threshold."""
    thresholds = calibration.thresholds[row.domain]
    odds = (calibration.slopes[e] * (value - thresholds[e]) for e, value in found.items())
    return max(odds, default=-float("inf"))
