"""Which of the policy's fixed figures mean something on the data at hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from asr_gate.audit.controls.calibrate import MIN_PLANTED, Sight
from asr_gate.audit.controls.kinds import Evidence
from asr_gate.audit.gate.policy import Policy
from asr_gate.audit.measured import Measured

DOUBTS: tuple[Evidence, ...] = ("mismatch", "edge")
"""Evidence against a text as a whole."""


def figures_that_count(
    rows: Sequence[Measured], sight: Sight, policy: Policy
) -> dict[str, frozenset[str]]:
    """By domain, which of `coverage` and `confidence` may condemn an utterance.

    A model of another language loses most words of a right transcript and still tells it from a
    wrong one. So a figure counts only where most of the utterances whose texts the audit believes
    (neither another's nor cut off) reach it.

    Args:
        rows: judged.
        sight: of the controls.
        policy: the figures, and the share of believed utterances that may miss them.
    """
    believed: dict[str, list[Measured]] = {row.domain: [] for row in rows}
    for row in rows:
        if row.fault is None and row.words and not _doubted(row, sight):
            believed[row.domain].append(row)
    everyone = [row for members in believed.values() for row in members]
    return {
        domain: _count(members if len(members) >= MIN_PLANTED else everyone, policy)
        for domain, members in believed.items()
    }


def _doubted(row: Measured, sight: Sight) -> bool:
    return any(
        (value := row.evidence(evidence)) is not None and sight.finds(row.domain, evidence, value)
        for evidence in DOUBTS
    )


def _count(believed: Sequence[Measured], policy: Policy) -> frozenset[str]:
    missed: Mapping[str, int] = {
        "coverage": sum(row.coverage < policy.quality.min_coverage for row in believed),
        "confidence": sum(row.confidence < policy.quality.min_confidence for row in believed),
    }
    most = policy.controls.figure_false_alarm * len(believed)
    return frozenset(name for name, number in missed.items() if number <= most)
