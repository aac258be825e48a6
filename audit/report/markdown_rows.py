"""The rows of a report in its page: those that are excluded by cause, all of them by rule."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby

from asr_gate.audit.records.finding import Finding
from asr_gate.audit.records.report import Report
from asr_gate.audit.records.rules import catalogue
from asr_gate.audit.report.by_row import by_cause, locate_rows, said
from asr_gate.audit.report.locations import Location, Locations
from asr_gate.audit.report.markdown_text import escape

LONGEST_TEXT = 200
"""Characters of a transcript that are shown."""


def excluded_by_cause(
    report: Report, sampled: Mapping[str, tuple[float, str]], places: Locations
) -> Iterator[str]:
    """Every row that the audit excludes, under what is wrong with it.

    Args:
        report: the report.
        sampled: coverage and transcript of the sampled rows by id: of others neither is shown.
        places: where the rows stand.
    """
    rows = [row for row in locate_rows(report, places) if row.excluded]
    if not rows:
        return
    yield ""
    yield f"## The {len(rows)} rows that are excluded"
    for cause, found in by_cause(rows).items():
        yield ""
        yield f"### {cause.heading}: {_rows(len(found))}"
        yield ""
        yield "| where | utterance | coverage | what was found | transcript |"
        yield "|---|---|---:|---|---|"
        for row in found:
            one = sampled.get(row.id)
            coverage = f"{one[0]:.2f}" if one else ""
            text = one[1][:LONGEST_TEXT] if one else ""
            why = "; ".join(f"{finding.code} {finding.message}" for finding in row.reasons)
            yield (
                f"| {escape(str(row.place))} | {escape(row.id)} | {coverage} | {escape(why)} "
                f"| {escape(text)} |"
            )


def rows_by_rule(report: Report, places: Locations) -> Iterator[str]:
    """Every finding, folded: by rule, then by file and line."""
    by_code: dict[str, list[Finding]] = {}
    for finding in report.findings:
        by_code.setdefault(finding.code, []).append(finding)
    names = {code: rule.name for code, rule in catalogue().items()}
    for code, findings in sorted(by_code.items()):
        count = len({finding.id for finding in findings})
        yield ""
        yield f"<details><summary>{code} {names.get(code, '')}: {_rows(count)}</summary>"
        placed = [(places.row(finding.origin), finding) for finding in findings]
        placed.sort(key=lambda one: (one[0].file, one[0].line or 0, one[1].id))
        for file, here in groupby(placed, key=lambda one: one[0].file):
            yield ""
            yield escape(file)
            yield ""
            yield from _in_file(list(here))
        yield ""
        yield "</details>"


def _in_file(found: Sequence[tuple[Location, Finding]]) -> Iterator[str]:
    for place, finding in found:
        line = "" if place.line is None else f"line {place.line}, "
        doubtful = "" if finding.counts else " (does not count)"
        yield f"- {line}{escape(finding.id)}: {escape(said(finding))}{doubtful}"


def _rows(count: int) -> str:
    return "1 row" if count == 1 else f"{count} rows"
