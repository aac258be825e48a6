"""What an audit would drop of its corpus, and why."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from asr_gate.audit.report import NoVerdict, Report, condemned


def condemned_rows(report: Report, name: str, folder: Path) -> dict[str, dict[str, Any]]:
    """Ids of the rows that the audit would drop, each with its line of the ledger.

    A line has `reason` and `findings`: what counts against the row, `code`, `severity`, `message`,
    and `start` and `end` in seconds, null for the whole row.

    Args:
        report: a report whose digest was checked.
        name: of the report, for the message.
        folder: of the audit, where the report's tables lie.

    Raises:
        NoVerdict: the audit cannot tell right from wrong, or its table is missing or altered.
    """
    if report.decision == "NO_VERDICT":
        raise NoVerdict(f"{name}: no verdict, so nothing to drop: {report.reasons[0]}")
    skipped = {row.id: row.reason for row in report.skipped}
    rows: dict[str, dict[str, Any]] = {
        identity: {"reason": skipped.get(identity, "low quality"), "findings": []}
        for identity in sorted(condemned(report, folder))
    }
    for finding in report.findings:
        if finding.counts and finding.id in rows:
            rows[finding.id]["findings"].append(
                finding.model_dump(exclude={"id", "origin", "counts"})
            )
    return rows
