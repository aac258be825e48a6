"""JUnit XML that its readers open, and that hostile texts do not break."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from junitparser import Failure, JUnitXml, Skipped

from asr_gate.audit.decide.estimate import Interval
from asr_gate.audit.decide.verdict import decide
from asr_gate.audit.records.report import Report
from asr_gate.audit.records.report import Skipped as SkippedRow
from asr_gate.audit.report.junit import MOST_ROWS, junit, junit_of_refusal
from asr_gate.audit.report.locations import Locations
from tests.audit.controls.rows import POLICY
from tests.audit.report.reports import finding, report_of, sound

HERE = Path("/checkout")


def cases(report: Report, held: str | None = None) -> dict[tuple[str, str], Any]:
    """The testcases by class and name, as junitparser reads them, once the totals are right."""
    content = junit(report, Locations(report.dataset.manifests, HERE), held)
    return read(content)


def read(content: bytes) -> dict[tuple[str, str], Any]:
    (suite,) = JUnitXml.fromstring(content)
    found = list(suite)
    totals = (suite.tests, suite.failures, suite.skipped, suite.errors)
    suite.update_statistics()
    assert (suite.tests, suite.failures, suite.skipped, suite.errors) == totals
    return {(case.classname, case.name): case for case in found}


def outcome(case: Any) -> type | None:
    (result,) = case.result or [None]
    return None if result is None else type(result)


def test_a_sound_report_passes_in_all_its_parts() -> None:
    found = cases(report_of())
    assert list(found) == [
        ("asr.verdict", "verdict"),
        ("asr.domain", "d"),
        *(("asr.control", kind) for kind in sound().controls),
    ]
    assert {outcome(case) for case in found.values()} == {None}
    assert "PROCEED" in found["asr.verdict", "verdict"].system_out
    assert "20 of 20 sampled" in found["asr.domain", "d"].system_out


def test_what_holds_training_fails_the_verdict() -> None:
    report = report_of(decision="STOP", reasons=["20.0 % of the corpus"])
    case = cases(report, "reports/a: STOP: 20.0 % of the corpus")["asr.verdict", "verdict"]
    assert outcome(case) is Failure
    assert case.result[0].message == "reports/a: STOP: 20.0 % of the corpus"
    assert case.result[0].type == "STOP"
    accepted = report_of(decision="CAUTION")
    assert outcome(cases(accepted)["asr.verdict", "verdict"]) is None


def test_utterances_of_low_quality_fail_at_their_line_and_worst_first() -> None:
    found = cases(
        report_of(
            finding("u1", "A005", severity="warning"),
            finding("u2", "A001", origin="train.jsonl:3"),
            finding("u3", "A001", origin="train.jsonl:4"),
            finding("u3", "A008", origin="train.jsonl:4", message="it fits badly"),
            finding("u4", "A001", counts=False),
        )
    )
    rows = {name: case for (group, name), case in found.items() if group == "asr.utterance"}
    assert list(rows) == ["u3", "u2"]
    assert {outcome(case) for case in rows.values()} == {Failure}
    element = rows["u3"]._elem
    assert (element.get("file"), element.get("line")) == ("corpus/train.jsonl", "4")
    failure = rows["u3"].result[0]
    assert failure.type == "A008", "the cause"
    assert failure.message.startswith("A008 it fits badly; A001 ")
    assert failure.message.endswith(" (corpus/train.jsonl:4)")


def test_a_domain_fails_where_the_verdict_names_it() -> None:
    share = Interval(0.3, 0.25, 0.35)
    verdict = decide(POLICY.decision, Interval(0.0, 0.0, 0.0), {"d": share, "d: 1": share}, 0.0)
    statistics = sound().domain_statistics["d"]
    report = report_of(
        decision=verdict.decision,
        reasons=verdict.reasons,
        domain_statistics=dict.fromkeys(["d", "d: 1", "1", "e"], statistics),
    )
    found = cases(report, "reports/a: CAUTION")
    failed = [name for (group, name), case in found.items() if group == "asr.domain" if case.result]
    assert failed == ["d", "d: 1"]
    assert "above 20 %" in found["asr.domain", "d"].result[0].message


def test_a_domain_of_which_nothing_can_be_told_is_skipped() -> None:
    statistics = (
        sound()
        .domain_statistics["d"]
        .model_copy(
            update={"low_quality_pct": None, "low": None, "high": None, "cannot_tell": "why"}
        )
    )
    found = cases(report_of(domain_statistics={"d": statistics}))
    assert outcome(found["asr.domain", "d"]) is Skipped
    assert "why" in found["asr.domain", "d"].result[0].message


def test_what_the_audit_cannot_detect_and_rows_it_passed_over_are_skipped() -> None:
    underpowered = sound().controls["removed"].model_copy(update={"underpowered": True})
    row = SkippedRow(id="u9", origin="train.jsonl:9", reason="leaves the corpus root")
    report = report_of(controls=sound().controls | {"removed": underpowered}, skipped=[row])
    found = cases(report)
    assert outcome(found["asr.control", "removed"]) is Skipped
    assert "underpowered" in found["asr.control", "removed"].result[0].message
    assert outcome(found["asr.control", "cut"]) is None
    assert outcome(found["asr.skipped", "u9"]) is Skipped
    assert found["asr.skipped", "u9"].result[0].message == "leaves the corpus root"


def test_names_hold_no_figures() -> None:
    assert not any(re.search(r"\d", name) for _, name in cases(report_of()))


def test_many_utterances_are_capped_and_counted() -> None:
    rows = [
        SkippedRow(id=f"s{n}", origin="train.jsonl:1", reason="r") for n in range(MOST_ROWS + 2)
    ]
    found = cases(
        report_of(*(finding(f"u{n}") for n in range(MOST_ROWS + 7)), skipped=rows), "held"
    )
    groups = [group for group, _ in found]
    assert groups.count("asr.utterance") == MOST_ROWS + 1
    assert found["asr.utterance", "others"].result[0].message == "that only the report has: 7"
    assert found["asr.skipped", "others"].result[0].message == "that only the report has: 2"


def test_a_refusal_is_one_failed_testcase() -> None:
    found = read(junit_of_refusal("reports/a: altered"))
    (case,) = found.values()
    assert outcome(case) is Failure
    assert case.result[0].message == "reports/a: altered"


@pytest.mark.parametrize(
    "text",
    [
        "]]><x/>",
        "<failure>&amp;",
        "a\x00b\x1b[31m\x0b",
        "\ufffe\uffff",
        "\u202eabc",
        "a\"b'c",
        "\n\n",
    ],
)
def test_hostile_texts_stay_texts(text: str) -> None:
    report = report_of(
        finding(f"u{text}", message=text, origin=f"{text}.jsonl:1"),
        domain_statistics={text: sound().domain_statistics["d"]},
        reasons=[text],
        created_at=text,
        manifests=[f"{text}.jsonl"],
    )
    found = cases(report, text)
    groups = [group for group, _ in found]
    assert (groups.count("asr.utterance"), groups.count("asr.domain")) == (1, 1)


@given(st.text(max_size=60))
@settings(max_examples=300, deadline=None)
def test_any_text_makes_a_document(text: str) -> None:
    root = ElementTree.fromstring(junit_of_refusal(text))
    assert [element.tag for element in root.iter()] == [
        "testsuites",
        "testsuite",
        "testcase",
        "failure",
    ]
