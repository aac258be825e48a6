"""The report as SARIF 2.1.0 (OASIS, errata 01), which code scanning and editors show.

Section numbers are those of the standard.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

from asr_gate.audit.records.report import Report
from asr_gate.audit.records.rules import catalogue
from asr_gate.audit.report.locations import (
    Level,
    LocatedFinding,
    Location,
    Locations,
    locate_findings,
)
from asr_gate.audit.report.sarif_document import (
    document,
    identity_of,
    location_of,
    message_of,
    rule_of,
    run_of,
)

VERDICT = "verdict"
"""The rule of the decision itself."""
MOST_RESULTS = 5_000
"""GitHub shows no more of one file, and rejects one of more than 25,000."""
MOST_BYTES = 9_000_000
"""GitHub takes 10 MB, compressed; this is before."""
MOST_MANIFESTS = 100
"""GitHub takes no more locations of one result."""

LEVEL_OF: dict[str, Level] = {"error": "error", "warning": "warning", "info": "note"}


def sarif(report: Report, places: Locations, *, signed: bool = False) -> dict[str, Any]:
    """One run: a result a finding, and one for the verdict unless it is PROCEED.

    Findings that do not count are notes, and suppressed: the kind stays `fail`, because any other
    allows no level at all (3.27.9, 3.27.10). What goes beyond GitHub's limits is left out from the
    end, the least first, and a notification says how many.

    Args:
        report: the report.
        places: where its rows stand.
        signed: whether its signature was checked.
    """
    rules = list(_rules(report))
    index = {rule["id"]: number for number, rule in enumerate(rules)}
    rows = locate_findings(report, places)
    results = list(_verdict(report, places, index))
    size = 0
    seen: Counter[tuple[str, str]] = Counter()
    for row in rows:
        result = _result(row, places, index, seen)
        size += len(json.dumps(result))
        if len(results) == MOST_RESULTS or size > MOST_BYTES:
            break
        results.append(result)
    left = len(rows) - sum(result["ruleId"] != VERDICT for result in results)
    told = []
    if left:
        told.append(f"Findings left out here, those that weigh least: {left}; the report has all.")
    if report.skipped:
        first = report.skipped[0]
        told.append(
            f"Rows that could not be audited: {len(report.skipped)}; the first: "
            f"{first.origin}: {first.reason}"
        )
    notifications = [{"level": "warning", "message": message_of(text)} for text in told]
    run = run_of(rules, results, notifications, successful=True)
    run["properties"] = {
        "decision": report.decision,
        "signed": signed,
        "lowQualityPercentage": report.low_quality_percentage,
        "digest": report.digest,
        "datasetFingerprint": report.dataset.fingerprint,
    }
    return document(run)


def sarif_of_refusal(reason: str, report: Location) -> dict[str, Any]:
    """One run with one result: why there is no report to rely on.

    Args:
        reason: what is wrong with the report.
        report: where it is, or should be.
    """
    result = {
        "ruleId": VERDICT,
        "ruleIndex": 0,
        "level": "error",
        "message": message_of(reason),
        "locations": [location_of(report)],
    }
    notification = {"level": "error", "message": message_of(reason)}
    return document(run_of([_verdict_rule()], [result], [notification], successful=False))


def _rules(report: Report) -> Iterator[dict[str, Any]]:
    yield _verdict_rule()
    for rule in catalogue().values():
        yield rule_of(rule.code, rule.name, LEVEL_OF[rule.severity], rule.summary, rule.fix)
    unknown = {f.code: LEVEL_OF[f.severity] for f in report.findings}
    for code in sorted(unknown.keys() - catalogue().keys()):
        yield rule_of(code, code, unknown[code], "A rule that this version does not know.", "")


def _verdict_rule() -> dict[str, Any]:
    return rule_of(
        VERDICT,
        VERDICT,
        "error",
        "The decision on the corpus as a whole.",
        "Fix what the findings name, then audit again.",
    )


def _verdict(report: Report, places: Locations, index: dict[str, int]) -> Iterator[dict[str, Any]]:
    if report.decision == "PROCEED":
        return
    yield {
        "ruleId": VERDICT,
        "ruleIndex": index[VERDICT],
        "level": "error" if report.decision == "STOP" else "warning",
        "message": message_of(f"{report.decision}: {'; '.join(report.reasons)}"),
        "locations": [location_of(place) for place in places.manifests()[:MOST_MANIFESTS]],
        "partialFingerprints": {"asrVerdict/v1": identity_of(VERDICT)},
    }


def _result(
    row: LocatedFinding, places: Locations, index: dict[str, int], seen: Counter[tuple[str, str]]
) -> dict[str, Any]:
    finding = row.finding
    which = (finding.code, finding.id)
    seen[which] += 1
    # Of rule and utterance and not of the line: rows move.
    identity = f"{identity_of(*which)}:{seen[which]}"
    result: dict[str, Any] = {
        "ruleId": finding.code,
        "ruleIndex": index[finding.code],
        "level": row.level,
        "message": message_of(row.says),
        "locations": [location_of(row.place)],
        "partialFingerprints": {"asrUtteranceRule/v1": identity},
        "properties": {
            "utterance": finding.id,
            "start": finding.start,
            "end": finding.end,
            "counts": finding.counts,
        },
    }
    if row.place.line is None or not places.is_here(row.place):
        # The one name that GitHub heeds. Where it has the line it hashes that itself, and warns
        # of any other value.
        result["partialFingerprints"]["primaryLocationLineHash"] = identity
    if not finding.counts:
        why = "This audit cannot tell here, or another row is the one to take out."
        result["suppressions"] = [{"kind": "external", "status": "accepted", "justification": why}]
    return result
