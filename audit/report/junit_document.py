"""A JUnit XML document: one suite of testcases, with text of others in it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from xml.etree import ElementTree

from asr_gate.audit.report.locations import shortened

_ILLEGAL = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that no XML 1.0 document may hold (section 2.2), not even escaped."""


def new_suite(name: str) -> ElementTree.Element:
    """A suite without testcases."""
    return ElementTree.Element("testsuite", {"name": name})


def add_case(suite: ElementTree.Element, group: str, name: str) -> ElementTree.Element:
    """Add a testcase of a group."""
    given = {"classname": f"asr.{group}", "name": legal(shortened(name, 200)), "time": "0"}
    return ElementTree.SubElement(suite, "testcase", given)


def add_outcome(case: ElementTree.Element, tag: str, message: str, kind: str | None = None) -> None:
    """Add `failure` or `skipped` to a testcase, with the reason and its kind."""
    said = legal(shortened(message, 2_000))
    given = {"message": said} | ({"type": kind} if kind else {})
    # Some readers show the attribute, others the text.
    ElementTree.SubElement(case, tag, given).text = said


def add_said(case: ElementTree.Element, lines: Iterable[str]) -> None:
    """Add what a testcase printed."""
    text = "\n".join(legal(shortened(line, 2_000)) for line in lines)
    ElementTree.SubElement(case, "system-out").text = text


def document(suite: ElementTree.Element) -> bytes:
    """The document of one suite, with its totals."""
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


def legal(text: str) -> str:
    """Text that XML can hold."""
    return _ILLEGAL.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
