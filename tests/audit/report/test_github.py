"""Annotations that the runner takes for what they are, and a summary that is only text."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from asr_gate.audit.records.report import Report, Skipped
from asr_gate.audit.report.github import (
    MOST_ANNOTATIONS,
    MOST_ROWS,
    annotation_lines,
    append_for_runner,
    command,
    escaped,
    outputs,
    step_summary,
    summary_of_refusal,
)
from asr_gate.audit.report.locations import Locations
from asr_gate.corpus.errors import UserError
from asr_gate.corpus.text.plain import plain
from tests.audit.report.reports import finding, report_of, sound

HERE = Path("/checkout")
HOSTILE = (
    "x\n::set-output name=decision::PROCEED",
    "x\r\n::add-mask::e",
    "::stop-commands::t",
    "##[add-mask]e",
    "a%0A::warning::b",
    "%250A",
    "a,line=5::b",
    "\u2028::error::x\x85::error::y",
)


def run(line: str) -> tuple[str, dict[str, str], str] | None:
    """What GitHub's runner takes from a line (actions/runner, ActionCommand.cs): `::` at its start
    after spaces, else `##[…]` anywhere."""

    def unescaped(text: str, *also: str) -> str:
        for token in ("\r", "\n", *also, "%"):
            text = text.replace(f"%{ord(token):02X}", token)
        return text

    stripped = line.lstrip()
    if stripped.startswith("::") and "::" in stripped[2:]:
        said, data = stripped[2:].split("::", 1)
        name, _, given = said.partition(" ")
        pairs = [pair.split("=", 1) for pair in given.split(",") if "=" in pair]
        return name, {k: unescaped(v, ":", ",") for k, v in pairs}, unescaped(data)
    if "##[" in line and "]" in line[line.index("##[") :]:
        return line[line.index("##[") + 3 :].split("]")[0], {}, ""
    return None


def lines_of(report: Report, held: str | None = None) -> list[Any]:
    """The annotations as the runner takes them: each line is one of the three commands."""
    lines = annotation_lines(report, Locations(report.dataset.manifests, HERE), held)
    taken = [run(line) for line in "\n".join(lines).splitlines()]
    assert len(taken) == len(lines)
    assert all(one and one[0] in ("error", "warning", "notice") for one in taken)
    return taken


def test_findings_are_annotations_at_their_line() -> None:
    taken = lines_of(
        report_of(
            finding("u1", "A001", origin="train.jsonl:7", message="50% is said: a, b"),
            finding("u2", "A005", severity="warning", start=1.0, end=2.0),
            finding("u3", "A001", counts=False),
        )
    )
    assert [one[0] for one in taken] == ["notice", "error", "warning", "notice"]
    assert taken[0][1] == {"title": "asr gate: PROCEED"}
    assert taken[1] == (
        "error",
        {"file": "corpus/train.jsonl", "line": "7", "title": "A001 low-coverage"},
        "u1: 50% is said: a, b",
    )
    assert taken[2][2].endswith("(1.00 to 2.00 s)")


def test_a_row_is_one_annotation_of_its_cause() -> None:
    row = [finding("u1", code, message=code) for code in ("A001", "A009", "D003")]
    row.append(finding("u1", "A007", severity="warning", message="A007"))
    taken = lines_of(report_of(*row, finding("u2", "A001")))
    assert [one[1]["title"].split()[0] for one in taken[1:]] == ["A009", "A001"]
    assert taken[1][2] == "u1: A009 (also A001, D003, A007)"


@pytest.mark.parametrize(
    ("decision", "held", "kind"),
    [("PROCEED", None, "notice"), ("CAUTION", None, "warning"), ("STOP", "r: STOP: x", "error")],
)
def test_the_verdict_comes_first(decision: str, held: str | None, kind: str) -> None:
    first = lines_of(report_of(decision=decision, reasons=["why"]), held)[0]
    assert first == (kind, {"title": f"asr gate: {decision}"}, held or f"{decision}: why")


def test_no_more_than_github_shows_and_the_rest_is_counted() -> None:
    found = [finding(f"e{n}", origin=f"train.jsonl:{n + 1}") for n in range(30)]
    found += [finding(f"w{n}", "A005", severity="warning") for n in range(30)]
    found += [finding(f"n{n}", "A006", severity="info") for n in range(30)]
    taken = lines_of(report_of(*found, decision="STOP"), "held")
    kinds = [one[0] for one in taken]
    assert all(kinds.count(kind) == MOST_ANNOTATIONS for kind in ("error", "warning", "notice"))
    assert taken[-1][2] == f"rows with findings that only the report has: {90 - 28}"
    assert taken[1][2].startswith("e0: ")


@pytest.mark.parametrize("text", HOSTILE)
def test_no_text_becomes_a_command(text: str) -> None:
    report = report_of(
        finding(f"u {text}", message=f"not '{text}'", origin=f"{text}.jsonl:3"),
        reasons=[text],
        manifests=[f"{text}.jsonl"],
    )
    for held in (None, text):
        taken = lines_of(report, held)
        assert [one[0] for one in taken] == ["error" if held else "notice", "error"]
        assert taken[0][2] == plain(held or f"PROCEED: {text}")
        assert set(taken[1][1]) == {"file", "line", "title"}


NAMES = st.text(st.characters(categories=["L", "N", "P", "S"]) | st.just(" "), min_size=1)


@given(st.text(max_size=50), st.text(min_size=1, max_size=50), NAMES)
@settings(max_examples=300, deadline=None)
def test_any_command_is_one_command(title: str, message: str, file: str) -> None:
    line = command("warning", title, message, file, 3)
    assert len(line.splitlines()) == 1
    taken = run(line)
    assert taken is not None
    name, properties, data = taken
    assert (name, data) == ("warning", plain(message))
    assert properties.get("title", "") == plain(title)
    assert properties["file"] == file


def texts(markdown: str) -> str:
    """All that a page shows, if it is made of headings, paragraphs, lists, tables and text only."""
    allowed = {"heading", "paragraph", "bullet_list", "list_item", "table", "thead", "tbody"}
    allowed |= {"tr", "th", "td", "inline"}
    said = []
    for token in MarkdownIt("commonmark").enable("table").parse(markdown):
        assert token.type.removesuffix("_open").removesuffix("_close") in allowed, token
        for child in token.children or []:
            assert child.type in ("text", "text_special", "softbreak"), child
            said.append(child.content)
    return "".join(said)


@given(st.text(min_size=1, max_size=80))
@settings(max_examples=300, deadline=None)
def test_escaped_text_is_shown_as_it_is(text: str) -> None:
    assert texts(f"| h |\n|---|\n| x{escaped(text)}x |\n") == f"hx{plain(text)}x"


def test_the_summary_says_verdict_domains_power_and_the_worst() -> None:
    rows = [Skipped(id="s", origin="train.jsonl:9", reason="leaves the corpus root")]
    bad = "<script>alert(1)</script> [x](javascript:y) | `z` @team #1 ![i](http://e) $a$ :+1:"
    report = report_of(
        finding("u1", message=bad, origin="train.jsonl:7"),
        finding("u2", "A005", severity="warning", message="a warning"),
        skipped=rows,
    )
    page = step_summary(report, Locations(report.dataset.manifests, HERE), None)
    shown = texts(page)
    for part in (bad, "asr gate: PROCEED", "corpus/train.jsonl:7", "leaves the corpus root"):
        assert part in shown
    assert "a warning" not in shown
    for kind in sound().controls:
        assert f"| {kind} |" in page
    assert report.digest in shown
    held = step_summary(report, Locations(report.dataset.manifests, HERE), "r: STOP: why")
    assert "Training is held: r: STOP: why" in texts(held)
    assert "altered" in texts(summary_of_refusal("reports/a: altered"))


def test_the_summary_is_short_whatever_the_report() -> None:
    long = "<" * 5_000
    names = [f"{n}{long[:500]}" for n in range(1_000)]
    report = report_of(
        *(finding(f"u{n}{long}", message=long, origin=f"{n}:1") for n in range(500)),
        domain_statistics=dict.fromkeys(names, sound().domain_statistics["d"]),
        reasons=[long] * 1_000,
        decision="STOP",
    )
    page = step_summary(report, Locations(report.dataset.manifests, HERE), "held")
    assert len(page.encode()) < 1024 * 1024
    assert f"More domains in the report: {1_000 - MOST_ROWS}." in page
    assert f"More utterances in the report: {500 - MOST_ROWS}." in page


def test_outputs_are_appended_one_a_line(tmp_path: Path) -> None:
    environment = {
        "GITHUB_OUTPUT": str(tmp_path / "output"),
        "GITHUB_STEP_SUMMARY": str(tmp_path / "summary"),
    }
    (tmp_path / "output").write_text("before=1\n")
    report = report_of(decision="STOP", low_quality_percentage=20.5)
    assert append_for_runner(environment, "page\n", outputs(report)) == []
    assert append_for_runner(environment, "page\n", {"a": "b\nc=d"}) == []
    assert (tmp_path / "output").read_text().splitlines() == [
        "before=1",
        "decision=STOP",
        f"digest={report.digest}",
        "low_quality_percentage=20.5",
        "a=b c=d",
    ]
    assert (tmp_path / "summary").read_text() == "page\npage\n"


def test_a_refused_report_says_nothing_that_a_workflow_could_use() -> None:
    assert outputs(None) == {"decision": "NO_VERDICT", "digest": "", "low_quality_percentage": ""}


def test_what_the_runner_does_not_name_is_told(tmp_path: Path) -> None:
    assert append_for_runner({}, "p", {}) == ["GITHUB_STEP_SUMMARY", "GITHUB_OUTPUT"]
    with pytest.raises(UserError, match=r"GITHUB_OUTPUT=.*: cannot be written"):
        append_for_runner({"GITHUB_OUTPUT": str(tmp_path)}, "p", {})
