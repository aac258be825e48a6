"""`asr report`."""

from __future__ import annotations

from pathlib import Path

import click

from asr_gate.audit.gate.tables import FORMATS, TABLES, export, load
from asr_gate.cli.main import debug_option, show


@click.group("report", context_settings={"help_option_names": ["-h", "--help"]})
@debug_option
def command() -> None:
    """Work with the report of an audit.

    Example: asr report export reports/phase0 words --out words.csv
    """


@command.command(
    "export",
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Example: asr report export reports/phase0 findings --out findings.csv",
)
@click.argument("report", type=click.Path(path_type=Path))
@click.argument("table", type=click.Choice(TABLES), metavar="TABLE")
@click.option(
    "--format",
    "kind",
    type=click.Choice(FORMATS),
    help="Format of the file.  [default: by the suffix of --out, else csv]",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write to a file.  [default: standard output]",
)
@debug_option
def export_table(report: Path, table: str, kind: str | None, out: Path | None) -> int:
    """Export a table of a report as CSV, parquet or JSON.

    REPORT is a report or an audit's folder. TABLE is utterances, words, gaps or findings.

    Exit codes: 0 exported, 2 bad usage, 30 the report or its table is missing or was altered.
    """
    from asr_gate.audit.records.report import REPORT_FILE, SIGNATURE_FILE
    from asr_gate.corpus.errors import UserError
    from asr_gate.corpus.files import write_atomically

    if kind is None:
        kind = out.suffix.removeprefix(".").lower() if out else "csv"
        if kind not in FORMATS:
            raise click.UsageError(
                f"{out}: end the name in .csv, .parquet or .json, or say --format"
            )
    if kind == "parquet" and out is None:
        raise click.UsageError("parquet is not text: name a file with --out FILE")
    found = load(report)
    if out is not None:
        own = {REPORT_FILE, SIGNATURE_FILE, *found.content.tables}
        if out.resolve() in {(found.path.parent / name).resolve() for name in own}:
            raise UserError(f"{out}: belongs to the report itself; name another file")
    content = export(found.arrow(table), kind)
    if out is None:
        show(lambda: click.echo(content.decode(), nl=False))
        return 0
    out.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(out, content)
    return 0
