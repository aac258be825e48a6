"""Domains of which nothing can be told: the controls do not part right texts from wrong ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np

from asr_gate.audit.controls.calibrate import USUAL
from asr_gate.audit.controls.false_alarms import false_alarms
from asr_gate.audit.policy import ControlsPolicy
from asr_gate.audit.records.measured import Measured
from asr_gate.audit.records.power import MIN_PLANTED, Calibration


def false_alarms_by_domain(
    rows: Sequence[Measured],
    calibration: Calibration,
    mismatches: Mapping[str, float] = MappingProxyType({}),
) -> dict[str, float]:
    """Estimated share of each domain's right transcripts that pass the threshold of swapped ones.

    A domain with too few rows to say has the share of all of them together.

    Args:
        rows: the audited utterances.
        calibration: what their controls showed.
        mismatches: of the right text, by id of an utterance whose right text is another row's.
    """
    # Much speech before or after its text: a part of a text is no right one, and not like a
    # swapped one either.
    whole = [
        row
        for row in rows
        if calibration.recognises_enough(row) and (row.evidence("edge") or 0.0) <= USUAL["edge"]
    ]
    found = {}
    for domain, thresholds in calibration.thresholds.items():
        own = [row for row in whole if row.domain == domain]
        share = _share(own, thresholds["mismatch"], mismatches)
        if share is None:
            share = _share(whole, thresholds["mismatch"], mismatches)
        found[domain] = share
    return {domain: share or 0.0 for domain, share in found.items()}


def _share(
    rows: Sequence[Measured], threshold: float, mismatches: Mapping[str, float]
) -> float | None:
    values = (mismatches.get(row.id, row.evidence("mismatch")) for row in rows)
    natural = np.array([value for value in values if value is not None])
    planted = np.array([c.value for row in rows for c in row.controls if c.kind == "swapped"])
    if min(len(natural), len(planted)) < MIN_PLANTED:
        return None
    return false_alarms(natural, planted, threshold)


def untold(
    calibration: Calibration, alarms: Mapping[str, float], policy: ControlsPolicy
) -> dict[str, str]:
    """Why nothing can be told, by domain; only domains where this is so.

    Either too few swapped transcripts are found, or too many right ones pass the threshold as well.

    Args:
        calibration: what the controls showed.
        alarms: of `false_alarms_by_domain`.
        policy: the limits.
    """
    reasons = {}
    for domain, kinds in calibration.power.items():
        swapped = kinds.get("swapped")
        if swapped is None:
            continue
        # Chance may condemn a domain here, which costs a look at it. One that the other domains
        # clear may cost right rows.
        few = swapped.planted >= MIN_PLANTED and (
            swapped.detected < policy.min_power_swapped * swapped.planted
        )
        if few or "swapped" in calibration.underpowered.get(domain, frozenset()):
            reasons[domain] = (
                f"of the transcripts swapped there, {swapped.detected} of {swapped.planted} were "
                f"found, under {policy.min_power_swapped:.0%} (controls.min_power_swapped)"
            )
        elif alarms[domain] > policy.max_false_alarm:
            reasons[domain] = (
                f"about {alarms[domain]:.0%} of the right transcripts there look as wrong as "
                f"swapped ones, above {policy.max_false_alarm:.0%} (controls.max_false_alarm)"
            )
    return reasons
