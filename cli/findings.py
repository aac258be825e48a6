"""`asr findings`."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

import click

from asr_gate.cli.main import debug_option, show
from asr_gate.cli.options import REPORT, codes_of

if TYPE_CHECKING:
    from asr_gate.audit.records.finding import Finding
    from asr_gate.audit.records.report import Report
    from asr_gate.audit.report.by_row import LocatedRow
    from asr_gate.audit.report.locations import Locations

COLUMNS = (
    "file", "line", "id", "domain", "speaker", "split", "excluded", "cause", "code", "severity",
    "message", "also",
)  # fmt: skip


@click.command(
    "findings",
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Example: asr findings reports/phase0 --code T008,T009",
)
@click.argument("report", required=False, type=REPORT)
@click.option("--code", "codes", multiple=True, metavar="CODE,…", help="Rows with these findings.")
@click.option(
    "--severity",
    type=click.Choice(["error", "warning", "info"]),
    help="Rows with findings that weigh this much; those that do not count are info.",
)
@click.option("--domain", help="Rows of this domain.")
@click.option("--speaker", help="Rows of this speaker.")
@click.option("--split", help="Rows of this split.")
@click.option("--file", help="Rows of this manifest: its path, the end of it, or a pattern.")
@click.option("--json", "as_json", is_flag=True, help="Print rows with all their findings as JSON.")
@click.option("--csv", "as_csv", is_flag=True, help="Print one line a row as CSV.")
@debug_option
def command(
    report: Path | None,
    codes: tuple[str, ...],
    severity: str | None,
    domain: str | None,
    speaker: str | None,
    split: str | None,
    file: str | None,
    as_json: bool,
    as_csv: bool,
) -> int:
    """List the rows with findings as FILE:LINE CODE MESSAGE, grouped by what is wrong with them.

    REPORT is a report or the folder of an audit; by default the newest under reports/.

    A row stands here once, with the finding that explains it best, or with the one that was asked
    for; the codes of its other findings follow. `asr report export REPORT findings` has all of
    them as a table.

    Exit codes: 0 listed, 2 bad usage, 30 the report is missing or was altered.
    """
    from asr_gate.audit.gate.read import find_latest, read_report
    from asr_gate.audit.report.by_row import locate_rows
    from asr_gate.audit.report.locations import Locations, level
    from asr_gate.cli.project import load_project
    from asr_gate.corpus.errors import UserError

    if as_json and as_csv:
        raise click.UsageError("--json and --csv contradict each other; give one of them")
    asked = codes_of(codes)
    if report is None:
        project = load_project()
        report = find_latest(project.output.reports, project.corpus.manifests)
    found = read_report(report)
    for option, name, there in (
        ("--domain", domain, {*found.domain_statistics, *(f.domain for f in found.findings)}),
        ("--split", split, {*found.split_statistics, *(f.split or "" for f in found.findings)}),
    ):
        if name is not None and name not in there:
            known = ", ".join(sorted(filter(None, there))) or "none"
            raise UserError(f"{option} {name}: the report has no such one; there are {known}")

    def wanted(finding: Finding) -> bool:
        weighs = {"note": "info"}.get(level(finding), level(finding))
        return (
            (not asked or finding.code in asked)
            and severity in (None, weighs)
            and domain in (None, finding.domain)
            and speaker in (None, finding.speaker)
            and split in (None, finding.split)
        )

    here = Path.cwd()
    places = Locations(found.dataset.manifests, here, here)
    rows = [
        row
        for row in locate_rows(found, places, wanted)
        if file is None or _lies_in(row.place.file, file)
    ]
    filtered = bool(asked or severity or domain or speaker or split or file)
    if as_json:
        show(lambda: click.echo(json.dumps([_as_json(row) for row in rows], indent=1)))
    elif as_csv:
        show(lambda: click.echo(_as_csv(rows), nl=False))
    else:
        lines = [*_lines(rows), *_end(found, rows, places, filtered)]
        show(lambda: click.echo("\n".join(lines)))
    return 0


def _lies_in(place: str, asked: str) -> bool:
    """Whether a file, or a folder that it lies in, is what was asked for."""
    path = PurePath(place)
    return any(one.match(asked) for one in (path, *path.parents) if one.name)


def _lines(rows: Sequence[LocatedRow]) -> Iterator[str]:
    from asr_gate.audit.report.by_row import by_cause
    from asr_gate.corpus.text.plain import isolated, plain

    for cause, found in by_cause(rows).items():
        excluded = sum(row.excluded for row in found)
        many = f"{len(found)} rows" if len(found) > 1 else "1 row"
        yield f"{cause.heading}: {many}, {excluded} excluded"
        for row in found:
            doubtful = "" if row.first.counts else " (does not count)"
            says = isolated(f"{row.first.code} {row.says}{doubtful}")
            yield f"{plain(str(row.place))}: {says}"
        yield ""


def _end(
    report: Report, rows: Sequence[LocatedRow], places: Locations, filtered: bool
) -> Iterator[str]:
    """Rows that could not be audited, and how many there are of all."""
    from asr_gate.corpus.text.plain import isolated, plain

    if report.skipped and not filtered:
        yield f"Could not be audited: {len(report.skipped)}"
        for row in report.skipped:
            yield f"{plain(str(places.row(row.origin)))}: {isolated(row.reason)}"
        yield ""
    if not rows:
        yield "No such findings." if filtered else "No findings."
        return
    excluded = sum(row.excluded for row in rows)
    yield f"{len(rows)} rows, {excluded} of them excluded. asr explain CODE says how to fix them."


def _as_row(row: LocatedRow) -> dict[str, Any]:
    first = row.first
    return {
        "file": row.place.file,
        "line": row.place.line,
        "id": row.id,
        "domain": first.domain,
        "speaker": first.speaker,
        "split": first.split,
        "excluded": row.excluded,
        "cause": row.cause.name,
        "code": first.code,
        "severity": first.severity,
        "message": first.message,
        "also": row.also,
    }


def _as_json(row: LocatedRow) -> dict[str, Any]:
    kept = {"code", "severity", "message", "start", "end", "counts"}
    return _as_row(row) | {"findings": [f.model_dump(include=kept) for f in row.findings]}


def _as_csv(rows: Sequence[LocatedRow]) -> str:
    from asr_gate.corpus.text.plain import plain

    table = io.StringIO()
    writer = csv.DictWriter(table, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for row in rows:
        cells = _as_row(row) | {"also": " ".join(row.also)}
        writer.writerow({k: plain(v) if isinstance(v, str) else v for k, v in cells.items()})
    return table.getvalue()
