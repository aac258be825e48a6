"""The report as JUnit XML, as GitLab, Jenkins and others list tests."""

from __future__ import annotations

import re
from collections.abc import Iterable
from xml.etree import ElementTree

from asr_gate.audit.records.report import Report
from asr_gate.audit.report.by_row import heaviest_first, locate_rows
from asr_gate.audit.report.headline import low_quality
from asr_gate.audit.report.locations import LONGEST, Locations, shortened

SUITE = "asr-audit"
MOST_ROWS = 1_000
"""Testcases of utterances, and of skipped rows: a page of more is read by nobody."""

_ILLEGAL = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that no XML 1.0 document may hold (section 2.2), not even escaped."""


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
    suite = _suite()
    _properties(suite, report)
    verdict = _case(suite, "verdict", "verdict")
    if held is not None:
        _outcome(verdict, "failure", held, report.decision)
    _said(verdict, [f"{report.decision}: {report.recommendation}", *report.reasons])
    for name, domain in report.domain_statistics.items():
        case = _case(suite, "domain", name)
        if reason := _domain_reason(report, name):
            _outcome(case, "failure", reason, "CAUTION")
        elif domain.cannot_tell is not None:
            _outcome(case, "skipped", f"cannot tell: {domain.cannot_tell}")
        share, interval = low_quality(domain, " to ")
        said = f"low quality: {share} ({interval}), {domain.count} of {domain.population} sampled"
        _said(case, [said])
    for kind, power in report.controls.items():
        case = _case(suite, "control", kind)
        said = f"{power.detected} of {power.n} planted were found ({power.power:.0%})"
        if power.underpowered:
            _outcome(case, "skipped", f"underpowered in part of the data or all of it: {said}")
        _said(case, [said])
    rows = [row for row in heaviest_first(locate_rows(report, places)) if row.excluded]
    for row in rows[:MOST_ROWS]:
        case = _case(suite, "utterance", row.id)
        case.set("file", _legal(row.place.file))
        if row.place.line is not None:
            case.set("line", str(row.place.line))
        says = "; ".join(f"{finding.code} {finding.message}" for finding in row.reasons)
        # Not every reader knows the attributes.
        _outcome(case, "failure", f"{shortened(says, 1_500)} ({row.place})", row.first.code)
    _left_out(suite, "utterance", len(rows) - MOST_ROWS)
    for skipped in report.skipped[:MOST_ROWS]:
        case = _case(suite, "skipped", skipped.id)
        case.set("file", _legal(places.row(skipped.origin).file))
        _outcome(case, "skipped", skipped.reason)
    _left_out(suite, "skipped", len(report.skipped) - MOST_ROWS)
    return _document(suite)


def junit_of_refusal(reason: str) -> bytes:
    """One suite with one failed testcase: why there is no report to rely on."""
    suite = _suite()
    _outcome(_case(suite, "verdict", "verdict"), "failure", reason, "NO_VERDICT")
    return _document(suite)


def _domain_reason(report: Report, domain: str) -> str | None:
    """The report's own reason that names this domain as too bad (`audit.decide.verdict`)."""
    own = re.compile(rf"domain {re.escape(domain)}: [\d.]+ % .*\(decision\.domain.*\)")
    return next((reason for reason in report.reasons if own.fullmatch(reason)), None)


def _suite() -> ElementTree.Element:
    return ElementTree.Element("testsuite", {"name": SUITE})


def _properties(suite: ElementTree.Element, report: Report) -> None:
    properties = ElementTree.SubElement(suite, "properties")
    for name, value in (
        ("decision", report.decision),
        ("low_quality_percentage", f"{report.low_quality_percentage:g}"),
        ("digest", report.digest),
        ("manifests", ", ".join(report.dataset.manifests)),
        ("created_at", report.created_at),
    ):
        given = {"name": name, "value": _legal(shortened(value, LONGEST))}
        ElementTree.SubElement(properties, "property", given)


def _case(suite: ElementTree.Element, group: str, name: str) -> ElementTree.Element:
    given = {"classname": f"asr.{group}", "name": _legal(shortened(name, 200)), "time": "0"}
    return ElementTree.SubElement(suite, "testcase", given)


def _outcome(case: ElementTree.Element, tag: str, message: str, kind: str | None = None) -> None:
    said = _legal(shortened(message, 2_000))
    given = {"message": said} | ({"type": kind} if kind else {})
    # Some readers show the attribute, others the text.
    ElementTree.SubElement(case, tag, given).text = said


def _said(case: ElementTree.Element, lines: Iterable[str]) -> None:
    text = "\n".join(_legal(shortened(line, 2_000)) for line in lines)
    ElementTree.SubElement(case, "system-out").text = text


def _left_out(suite: ElementTree.Element, group: str, count: int) -> None:
    if count > 0:
        _outcome(_case(suite, group, "others"), "skipped", f"that only the report has: {count}")


def _document(suite: ElementTree.Element) -> bytes:
    totals = {
        "tests": len(suite.findall("testcase")),
        "failures": len(suite.findall("testcase/failure")),
        "errors": 0,
        "skipped": len(suite.findall("testcase/skipped")),
    }
    for name, value in totals.items():
        suite.set(name, str(value))
    suite.set("time", "0")
    suites = ElementTree.Element("testsuites")
    suites.append(suite)
    ElementTree.indent(suites)
    content: bytes = ElementTree.tostring(suites, encoding="utf-8", xml_declaration=True)
    return content + b"\n"


def _legal(text: str) -> str:
    return _ILLEGAL.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
