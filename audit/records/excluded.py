"""Which rows a report excludes from training, and why: the one definition for all who ask."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from asr_gate.audit.records.causes import strongest_first
from asr_gate.audit.records.finding import Finding
from asr_gate.audit.records.report import Report


@dataclass(frozen=True, slots=True)
class Choice:
    """Rules that a user takes for errors, or for none, beside what the policy says."""

    drop: frozenset[str] = frozenset()
    keep: frozenset[str] = frozenset()


AS_AUDITED = Choice()
"""What training excludes: no more and no less."""


def excluded(
    report: Report, findings: Iterable[Finding] | None = None, choice: Choice = AS_AUDITED
) -> dict[str, str]:
    """Ids of the rows that must not be trained on, each with the reason.

    A row is excluded if it could not be audited (`report.skipped`), or if any finding of severity
    error counts against it, whether it was in the sample or not.

    Args:
        report: the report.
        findings: other findings than the report's; None: those.
        choice: what a user asked for besides.

    Returns:
        By id, in their order: the errors with their codes, or why the row was skipped.
    """
    reasons = {row.id: row.reason for row in report.skipped}
    by_id: dict[str, list[Finding]] = {}
    for finding in report.findings if findings is None else findings:
        if excludes(finding, choice):
            by_id.setdefault(finding.id, []).append(finding)
    for identity, found in by_id.items():
        said = "; ".join(f"{f.code}: {f.message}" for f in strongest_first(found))
        before = reasons.get(identity)
        reasons[identity] = said if before is None else f"{before}; {said}"
    return dict(sorted(reasons.items()))


def excludes(finding: Finding, choice: Choice = AS_AUDITED) -> bool:
    """Whether a finding excludes its row."""
    chosen = finding.severity == "error" or finding.code in choice.drop
    return finding.counts and chosen and finding.code not in choice.keep


def excluded_ids(findings: Iterable[Finding]) -> set[str]:
    """Ids of the rows that any of the findings excludes."""
    return {finding.id for finding in findings if excludes(finding)}
