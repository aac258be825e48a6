"""Thresholds set where many rows have the same defect, counted on rows that have none."""

from __future__ import annotations

import random
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from asr_gate.audit.controls.calibrate import calibrate
from asr_gate.audit.policy import Policy
from asr_gate.audit.records.controls import EVIDENCE_OF, THRESHOLD_KINDS, Kind
from bench.detection.ours import Audited

SHARES = (0.0, 1 / 3, 0.5, 0.85)
DRAWS = 20


@dataclass(frozen=True, slots=True)
class Spoiled:
    """One kind at one share; all shares are 0 to 1."""

    kind: Kind
    share: float
    """Of the rows that set thresholds, those that have the defect."""
    found: float
    """Of planted defects of this kind, in the other rows."""
    false_alarms: float
    """Of right rows among the others."""


def spoiled(audited: Audited, policy: Policy, aside: Collection[str]) -> Iterator[Spoiled]:
    """Each kind at each share.

    Args:
        audited: rows as they are, and with each kind planted.
        policy: the rate of false alarms.
        aside: ids of rows that are no right ones.
    """
    for share in SHARES:
        for kind in THRESHOLD_KINDS:
            yield _spoiled(audited, policy, aside, kind, share)


def _spoiled(
    audited: Audited, policy: Policy, aside: Collection[str], kind: Kind, share: float
) -> Spoiled:
    planted = {row.id: row for row in audited.planted[kind]}
    evidence = EVIDENCE_OF[kind]
    found = there = alarms = right = 0
    for draw in range(DRAWS):
        order = list(audited.natural)
        random.Random(draw).shuffle(order)
        setting, counting = order[::2], order[1::2]
        bad = round(share * len(setting))
        mixed = [planted.get(row.id, row) for row in setting[:bad]] + setting[bad:]
        calibration = calibrate(
            mixed, false_alarm=policy.controls.false_alarm, floors=policy.controls.floors()
        )
        (thresholds,) = calibration.thresholds.values()
        for row in counting:
            mine = [control for control in row.controls if control.kind == kind]
            there += len(mine)
            found += sum(control.passes(thresholds) for control in mine)
            value = row.evidence(evidence)
            if row.id not in aside and value is not None:
                right += 1
                alarms += value > thresholds[evidence]
    return Spoiled(kind, share, found / there, alarms / right)
