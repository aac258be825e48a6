"""The report in GitHub Actions: annotations, the step's summary, its outputs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Literal

from asr_gate.audit.records.report import Decision, Report
from asr_gate.audit.records.rules import catalogue
from asr_gate.audit.report.by_row import heaviest_first, locate_rows
from asr_gate.audit.report.headline import low_quality, sentence
from asr_gate.audit.report.locations import Level, Locations, shortened
from asr_gate.corpus.errors import UserError
from asr_gate.corpus.text.plain import plain

Command = Literal["error", "warning", "notice"]
COMMAND_OF: dict[Level, Command] = {"error": "error", "warning": "warning", "note": "notice"}

MOST_ANNOTATIONS = 10
"""GitHub shows so many of each command from one step."""
MOST_ROWS = 50
"""Rows of a table, reasons, utterances in the summary; GitHub takes 1 MiB of it."""

SUMMARY = "GITHUB_STEP_SUMMARY"
OUTPUT = "GITHUB_OUTPUT"
"""Names of the files that a step may append to, as the runner's environment gives them."""

SIGNED = "The report is signed with the key that was asked for."
UNSIGNED = "The report is unsigned: it is consistent, and nothing says who made it."


def annotation_lines(report: Report, places: Locations, held: str | None) -> list[str]:
    """Workflow commands, one a line: the verdict, the rows that weigh most, how many are left out.

    A row has one annotation, for its cause: GitHub shows few.

    Args:
        report: the report.
        places: where its rows stand.
        held: why training may not start; None: it may.
    """
    names = {code: rule.name for code, rule in catalogue().items()}
    room = dict.fromkeys(COMMAND_OF.values(), MOST_ANNOTATIONS)
    room["notice"] -= 1  # for the last line
    said = held or f"{report.decision}: {'; '.join(report.reasons)}"
    lines = [command(_verdict_command(report.decision, held), f"asr gate: {report.decision}", said)]
    room[_verdict_command(report.decision, held)] -= 1
    rows = heaviest_first(locate_rows(report, places))
    shown = 0
    for row in rows:
        kind = COMMAND_OF[row.level]
        if room[kind]:
            room[kind] -= 1
            shown += 1
            title = f"{row.first.code} {names.get(row.first.code, '')}".strip()
            text = f"{shortened(row.id, 200)}: {row.says}"
            lines.append(command(kind, title, text, row.place.file, row.place.line))
    if shown < len(rows):
        more = f"rows with findings that only the report has: {len(rows) - shown}"
        lines.append(command("notice", "asr gate", more))
    return lines


def _verdict_command(decision: Decision, held: str | None) -> Command:
    if held is not None:
        return "error"
    return "notice" if decision == "PROCEED" else "warning"


def command(
    kind: Command, title: str, message: str, file: str | None = None, line: int | None = None
) -> str:
    """One workflow command; nothing in its parts can end it or start another."""
    properties = {
        # A name keeps its spaces, or it would be another file's.
        "file": " ".join(map(plain, (file or "").split(" "))),
        "line": None if line is None else str(line),
        "title": shortened(title, 200),
    }
    given = ",".join(f"{name}={_property(v)}" for name, v in properties.items() if v)
    return f"::{kind} {given}::{_data(shortened(message, 2_000))}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def step_summary(
    report: Report, places: Locations, held: str | None, *, signed: bool = False
) -> str:
    """The report in short, as Markdown: verdict, reasons, domains, controls, the worst utterances.

    Args:
        report: the report.
        places: where its rows stand.
        held: why training may not start; None: it may.
        signed: whether its signature was checked.
    """
    return "\n".join(_lines(report, places, held, signed)) + "\n"


def summary_of_refusal(reason: str) -> str:
    """Why there is no report to rely on, as Markdown."""
    return f"## asr gate: no verdict\n\n{escaped(reason)}\n"


def _lines(report: Report, places: Locations, held: str | None, signed: bool) -> Iterator[str]:
    yield f"## asr gate: {escaped(report.decision)}"
    yield ""
    yield "Training may start." if held is None else f"Training is held: {escaped(held)}"
    yield ""
    yield SIGNED if signed else UNSIGNED
    yield ""
    yield f"{sentence(report)} {escaped(report.recommendation)}"
    yield ""
    reasons = [reason for reason in report.reasons if held is None or reason not in held]
    yield from (f"- {escaped(reason)}" for reason in reasons[:MOST_ROWS])
    yield from _more(len(reasons), "reasons")
    if report.domain_statistics:
        yield ""
        yield "| domain | sampled | of | low quality | interval |"
        yield "|---|---:|---:|---:|---:|"
        for name, domain in islice(report.domain_statistics.items(), MOST_ROWS):
            share, interval = low_quality(domain, " to ")
            yield (
                f"| {escaped(name)} | {domain.count} | {domain.population} | {share} | {interval} |"
            )
        yield from _more(len(report.domain_statistics), "domains")
    if report.controls:
        yield ""
        yield "| planted | found | of | power | |"
        yield "|---|---:|---:|---:|---|"
        for kind, power in islice(report.controls.items(), MOST_ROWS):
            yield (
                f"| {escaped(kind)} | {power.detected} | {power.n} | {power.power:.0%} "
                f"| {'underpowered' if power.underpowered else ''} |"
            )
    worst = [row for row in heaviest_first(locate_rows(report, places)) if row.excluded]
    if worst:
        yield ""
        yield "| utterance of low quality | where | what was found |"
        yield "|---|---|---|"
        for row in worst[:MOST_ROWS]:
            found = "; ".join(f"{finding.code} {finding.message}" for finding in row.reasons)
            yield f"| {escaped(row.id)} | {escaped(str(row.place))} | {escaped(found)} |"
        yield from _more(len(worst), "utterances")
    if report.skipped:
        first = report.skipped[0]
        yield ""
        yield (
            f"Rows that could not be audited: {len(report.skipped)}; the first: "
            f"{escaped(first.origin)}: {escaped(first.reason)}"
        )
    yield ""
    yield f"Digest {escaped(report.digest)}"


def _more(count: int, what: str) -> Iterator[str]:
    if count > MOST_ROWS:
        yield ""
        yield f"More {what} in the report: {count - MOST_ROWS}."


def escaped(text: str) -> str:
    """Text of others that Markdown shows as it is.

    Any ASCII punctuation may stand behind a backslash (CommonMark, section 2.4).
    """
    return re.sub(r"([!-/:-@\[-`{-~])", r"\\\1", shortened(text, 500))


def outputs(report: Report | None) -> dict[str, str]:
    """The step's outputs; None: the report was refused, and says nothing that may be used."""
    if report is None:
        return {"decision": "NO_VERDICT", "digest": "", "low_quality_percentage": ""}
    return {
        "decision": report.decision,
        "digest": report.digest,
        "low_quality_percentage": f"{report.low_quality_percentage:g}",
    }


def append_for_runner(
    environment: Mapping[str, str], summary: str, values: Mapping[str, str]
) -> list[str]:
    """Append summary and outputs to the files that the runner names.

    Returns:
        The names that the environment lacks: nothing was written for them.

    Raises:
        UserError: a file that it names cannot be written.
    """
    # One line each: what would need a delimiter is none of these.
    lines = "".join(f"{name}={shortened(value, 200)}\n" for name, value in values.items())
    for name, content in ((SUMMARY, summary), (OUTPUT, lines)):
        if path := environment.get(name):
            try:
                with Path(path).open("a", encoding="utf-8") as stream:
                    stream.write(content)
            except OSError as error:
                raise UserError(f"{name}={path}: cannot be written ({error.strerror})") from error
    return [name for name in (SUMMARY, OUTPUT) if not environment.get(name)]
