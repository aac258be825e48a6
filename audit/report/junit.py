"""The report as JUnit XML, as GitLab, Jenkins and others list tests."""

from __future__ import annotations

import re
from xml.etree import ElementTree

from asr_gate.audit.records.report import Report
from asr_gate.audit.report.by_row import heaviest_first, locate_rows
from asr_gate.audit.report.headline import low_quality
from asr_gate.audit.report.junit_document import (
    add_case,
    add_outcome,
    add_said,
    document,
    legal,
    new_suite,
)
from asr_gate.audit.report.locations import LONGEST, Locations, shortened

SUITE = "asr-audit"
MOST_ROWS = 1_000
"""Testcases of utterances, and of skipped rows: a page of more is read by nobody."""


def junit(report: Report, places: Locations, held: str | None) -> bytes:
    """One suite: the verdict, the domains, the kinds of controls, utterances of low quality.

    A domain fails where it made the verdict CAUTION by its share of low quality. What the audit
    cannot tell is skipped: a domain, a kind of planted defect, a row that could not be audited.
    Names hold no figures, so that one run compares with the next.

    Args:
        report: the report.
        places: where its rows stand.
        held: why training may not start; None: it may.
    """
    suite = new_suite(SUITE)
    _properties(suite, report)
    verdict = add_case(suite, "verdict", "verdict")
    if held is not None:
        add_outcome(verdict, "failure", held, report.decision)
    add_said(verdict, [f"{report.decision}: {report.recommendation}", *report.reasons])
    for name, domain in report.domain_statistics.items():
        case = add_case(suite, "domain", name)
        if reason := _domain_reason(report, name):
            add_outcome(case, "failure", reason, "CAUTION")
        elif domain.cannot_tell is not None:
            add_outcome(case, "skipped", f"cannot tell: {domain.cannot_tell}")
        share, interval = low_quality(domain, " to ")
        said = f"low quality: {share} ({interval}), {domain.count} of {domain.population} sampled"
        add_said(case, [said])
    for kind, power in report.controls.items():
        case = add_case(suite, "control", kind)
        said = f"{power.detected} of {power.n} planted were found ({power.power:.0%})"
        if power.underpowered:
            add_outcome(case, "skipped", f"underpowered in part of the data or all of it: {said}")
        add_said(case, [said])
    rows = [row for row in heaviest_first(locate_rows(report, places)) if row.excluded]
    for row in rows[:MOST_ROWS]:
        case = add_case(suite, "utterance", row.id)
        case.set("file", legal(row.place.file))
        if row.place.line is not None:
            case.set("line", str(row.place.line))
        says = "; ".join(f"{finding.code} {finding.message}" for finding in row.reasons)
        # Not every reader knows the attributes.
        add_outcome(case, "failure", f"{shortened(says, 1_500)} ({row.place})", row.first.code)
    _left_out(suite, "utterance", len(rows) - MOST_ROWS)
    for skipped in report.skipped[:MOST_ROWS]:
        case = add_case(suite, "skipped", skipped.id)
        case.set("file", legal(places.row(skipped.origin).file))
        add_outcome(case, "skipped", skipped.reason)
    _left_out(suite, "skipped", len(report.skipped) - MOST_ROWS)
    return document(suite)


def junit_of_refusal(reason: str) -> bytes:
    """One suite with one failed testcase: why there is no report to rely on."""
    suite = new_suite(SUITE)
    add_outcome(add_case(suite, "verdict", "verdict"), "failure", reason, "NO_VERDICT")
    return document(suite)


def _domain_reason(report: Report, domain: str) -> str | None:
    """The report's own reason that names this domain as too bad (`audit.decide.verdict`)."""
    own = re.compile(rf"domain {re.escape(domain)}: [\d.]+ % .*\(decision\.domain.*\)")
    return next((reason for reason in report.reasons if own.fullmatch(reason)), None)


def _properties(suite: ElementTree.Element, report: Report) -> None:
    properties = ElementTree.SubElement(suite, "properties")
    for name, value in (
        ("decision", report.decision),
        ("low_quality_percentage", f"{report.low_quality_percentage:g}"),
        ("digest", report.digest),
        ("manifests", ", ".join(report.dataset.manifests)),
        ("created_at", report.created_at),
    ):
        given = {"name": name, "value": legal(shortened(value, LONGEST))}
        ElementTree.SubElement(properties, "property", given)


def _left_out(suite: ElementTree.Element, group: str, count: int) -> None:
    if count > 0:
        add_outcome(
            add_case(suite, group, "others"), "skipped", f"that only the report has: {count}"
        )
