"""Which of the policy's absolute thresholds mean something on the data at hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from asr_gate.audit.policy import Policy
from asr_gate.audit.records.controls import Evidence
from asr_gate.audit.records.judged import Judged
from asr_gate.audit.records.power import MIN_PLANTED, Calibration

WHOLE_TEXT: tuple[Evidence, ...] = ("mismatch", "edge")
"""Evidence against a text as a whole."""
FEW = 0.05
"""Share of right-looking utterances that may miss a threshold where single words are not told."""


def absolute_thresholds_in_force(
    rows: Sequence[Judged], calibration: Calibration, policy: Policy
) -> dict[str, frozenset[str]]:
    """By domain, which of `coverage` and `confidence` may make an utterance one of low quality.

    A model of another language loses most words of a right transcript and still tells it from a
    wrong one. So an absolute threshold is in force only where most utterances whose texts look
    right (neither another row's nor cut off) reach it; nearly all of them, where planted words that
    nobody says are not found: which words are said, such an aligner does not know.

    Args:
        rows: the judged utterances.
        calibration: what the controls showed.
        policy: the thresholds, and the share of right-looking utterances that may miss them.
    """
    right: dict[str, list[Judged]] = {row.domain: [] for row in rows}
    for row in rows:
        if row.measured.fault is None and row.words and not _doubted(row, calibration):
            right[row.domain].append(row)
    everywhere = [row for members in right.values() for row in members]
    return {
        domain: _in_force(
            members if len(members) >= MIN_PLANTED else everywhere,
            policy,
            policy.controls.absolute_false_alarm
            if calibration.can_detect(domain, "deletion")
            else min(FEW, policy.controls.absolute_false_alarm),
        )
        for domain, members in right.items()
    }


def _doubted(row: Judged, calibration: Calibration) -> bool:
    return any(
        (value := row.measured.evidence(evidence)) is not None
        and calibration.passes(row.domain, evidence, value)
        for evidence in WHOLE_TEXT
    )


def _in_force(right: Sequence[Judged], policy: Policy, most: float) -> frozenset[str]:
    missed: Mapping[str, int] = {
        "coverage": sum(row.coverage < policy.quality.min_coverage for row in right),
        "confidence": sum(row.confidence < policy.quality.min_confidence for row in right),
    }
    return frozenset(name for name, number in missed.items() if number <= most * len(right))
