"""The report as SARIF 2.1.0 (OASIS, errata 01), which code scanning and editors show.

Section numbers are those of the standard.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import PurePath
from typing import Any
from urllib.parse import quote

from asr_gate.audit.records.report import Report
from asr_gate.audit.records.rules import catalogue
from asr_gate.audit.report.locations import (
    Level,
    LocatedFinding,
    Location,
    Locations,
    locate_findings,
    shortened,
)

SCHEMA = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)
ROOT = "%SRCROOT%"
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
    notifications = [{"level": "warning", "message": _message(text)} for text in told]
    run = _run(rules, results, notifications, successful=True)
    run["properties"] = {
        "decision": report.decision,
        "signed": signed,
        "lowQualityPercentage": report.low_quality_percentage,
        "digest": report.digest,
        "datasetFingerprint": report.dataset.fingerprint,
    }
    return _log(run)


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
        "message": _message(reason),
        "locations": [_location(report)],
    }
    notification = {"level": "error", "message": _message(reason)}
    return _log(_run([_verdict_rule()], [result], [notification], successful=False))


def _log(run: dict[str, Any]) -> dict[str, Any]:
    return {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}


def _run(
    rules: list[dict[str, Any]],
    results: list[dict[str, Any]],
    notifications: list[dict[str, Any]],
    *,
    successful: bool,
) -> dict[str, Any]:
    written = version("asr-gate")
    return {
        "tool": {"driver": {"name": "asr", "version": written, "rules": rules}},
        "invocations": [
            {"executionSuccessful": successful, "toolExecutionNotifications": notifications}
        ],
        "originalUriBaseIds": {ROOT: {"description": {"text": "The root of the checkout."}}},
        "columnKind": "unicodeCodePoints",
        "results": results,
    }


def _rules(report: Report) -> Iterator[dict[str, Any]]:
    yield _verdict_rule()
    for rule in catalogue().values():
        yield _rule(rule.code, rule.name, LEVEL_OF[rule.severity], rule.summary, rule.fix)
    unknown = {f.code: LEVEL_OF[f.severity] for f in report.findings}
    for code in sorted(unknown.keys() - catalogue().keys()):
        yield _rule(code, code, unknown[code], "A rule that this version does not know.", "")


def _verdict_rule() -> dict[str, Any]:
    return _rule(
        VERDICT,
        VERDICT,
        "error",
        "The decision on the corpus as a whole.",
        "Fix what the findings name, then audit again.",
    )


def _rule(code: str, name: str, level: Level, summary: str, fix: str) -> dict[str, Any]:
    return {
        "id": code,
        "name": name,
        "shortDescription": {"text": summary},
        "fullDescription": {"text": f"{summary} {fix}".strip()},
        "help": {"text": fix or summary},
        "defaultConfiguration": {"level": level},
        "properties": {"tags": ["data-quality"]},
    }


def _verdict(report: Report, places: Locations, index: dict[str, int]) -> Iterator[dict[str, Any]]:
    if report.decision == "PROCEED":
        return
    yield {
        "ruleId": VERDICT,
        "ruleIndex": index[VERDICT],
        "level": "error" if report.decision == "STOP" else "warning",
        "message": _message(f"{report.decision}: {'; '.join(report.reasons)}"),
        "locations": [_location(place) for place in places.manifests()[:MOST_MANIFESTS]],
        "partialFingerprints": {"asrVerdict/v1": _hash(VERDICT)},
    }


def _result(
    row: LocatedFinding, places: Locations, index: dict[str, int], seen: Counter[tuple[str, str]]
) -> dict[str, Any]:
    finding = row.finding
    which = (finding.code, finding.id)
    seen[which] += 1
    # Of rule and utterance and not of the line: rows move.
    identity = f"{_hash(*which)}:{seen[which]}"
    result: dict[str, Any] = {
        "ruleId": finding.code,
        "ruleIndex": index[finding.code],
        "level": row.level,
        "message": _message(row.says),
        "locations": [_location(row.place)],
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


def _hash(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]


def _location(place: Location) -> dict[str, Any]:
    physical: dict[str, Any] = {"artifactLocation": _artifact(place.file)}
    if place.line is not None:
        physical["region"] = {"startLine": place.line}
    return {"physicalLocation": physical}


def _artifact(file: str) -> dict[str, str]:
    path = PurePath(file)
    if path.is_absolute():
        return {"uri": path.as_uri()}
    return {"uri": quote(file), "uriBaseId": ROOT}


def _message(text: str) -> dict[str, str]:
    """Plain text (3.11.3) that holds no placeholder (3.11.5) and no link (3.11.6).

    Braces are doubled. Brackets stand for themselves but where `](` would make a link; there the
    bracket is escaped, and so are backslashes before it, which would escape the escape.
    """
    flat = shortened(text, 2_000).replace("{", "{{").replace("}", "}}")
    return {"text": re.sub(r"(\\*)\](?=\()", lambda found: 2 * found[1] + r"\]", flat)}
