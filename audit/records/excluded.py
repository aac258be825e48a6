"""Which rows a report excludes from training, and why: the one definition for all who ask."""

from __future__ import annotations

from collections.abc import Iterable

from asr_gate.audit.records.finding import Finding
from asr_gate.audit.records.report import Report


def excluded(report: Report) -> dict[str, str]:
    """Ids of the rows that must not be trained on, each with the reason.

    A row is excluded if it could not be audited (`report.skipped`), or if any finding of severity
    error counts against it, whether it was in the sample or not.

    Args:
        report: the report.

    Returns:
        By id, in their order: the errors with their codes, or why the row was skipped.
    """
    reasons = {row.id: row.reason for row in report.skipped}
    for finding in report.findings:
        if excludes(finding):
            said = f"{finding.code}: {finding.message}"
            before = reasons.get(finding.id)
            reasons[finding.id] = said if before is None else f"{before}; {said}"
    return dict(sorted(reasons.items()))


def excludes(finding: Finding) -> bool:
    """Whether a finding excludes its row."""
    return finding.severity == "error" and finding.counts


def excluded_ids(findings: Iterable[Finding]) -> set[str]:
    """Ids of the rows that any of the findings excludes."""
    return {finding.id for finding in findings if excludes(finding)}
