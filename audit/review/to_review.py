"""The rows of a report that people are to look at, worst first, with what the audit knows."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from asr_gate.audit.records.excluded import excludes
from asr_gate.audit.records.finding import Finding
from asr_gate.audit.report.propose import Proposal, propose
from asr_gate.audit.report.review_row import ToReview

if TYPE_CHECKING:
    from asr_gate.audit.gate.tables import AuditReport


def to_review(report: AuditReport) -> list[ToReview]:
    """Every aligned row with a finding that counts: excluded ones first, then by quality.

    Raises:
        NoVerdict: a table of the report is missing or was altered.
    """
    by_id = _by_id(report.content.findings)
    proposed = proposals(report)
    rows = [row for row in report.arrow("utterances").to_pylist() if row["id"] in by_id]
    rows.sort(key=lambda row: (not any(map(excludes, by_id[row["id"]])), row["quality"], row["id"]))
    return [_to_review(row, by_id[row["id"]], proposed.get(row["id"])) for row in rows]


def proposals(report: AuditReport) -> dict[str, Proposal]:
    """The texts that an audit proposes, by id.

    Raises:
        NoVerdict: a table of the report is missing or was altered.
    """
    by_id = _by_id(report.content.findings)
    words, gaps, heard = (_rows(report, name, by_id) for name in ("words", "gaps", "heard"))
    found = {}
    for row in report.arrow("utterances").to_pylist():
        id = row["id"]
        if id in by_id:
            parts = [part.get(id, []) for part in (words, gaps, heard)]
            proposal = propose(row["text"], parts[0], parts[1], parts[2], by_id[id])
            if proposal is not None:
                found[id] = proposal
    return found


def _by_id(findings: Collection[Finding]) -> dict[str, list[Finding]]:
    by_id: dict[str, list[Finding]] = {}
    for finding in findings:
        if finding.counts:
            by_id.setdefault(finding.id, []).append(finding)
    return by_id


def _rows(
    report: AuditReport, table: str, ids: Collection[str]
) -> dict[str, list[Mapping[str, Any]]]:
    found: dict[str, list[Mapping[str, Any]]] = {}
    for row in report.arrow(table).to_pylist():
        if row["id"] in ids:
            found.setdefault(row["id"], []).append(row)
    return found


def _to_review(
    row: Mapping[str, Any], findings: Collection[Finding], proposal: Proposal | None
) -> ToReview:
    return ToReview(
        id=row["id"],
        origin=row["origin"],
        audio=row["audio"],
        offset=row["offset"],
        duration=row["duration"],
        language=row["language"] or "",
        text=row["text"],
        proposed=None if proposal is None else proposal.text,
        confidence=None if proposal is None else proposal.confidence,
        codes=tuple(sorted({finding.code for finding in findings})),
        spans=tuple(
            sorted(
                {
                    (finding.start, finding.end)
                    for finding in findings
                    if finding.start is not None and finding.end is not None
                }
            )
        ),
    )
