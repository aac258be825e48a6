"""`asr report`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from asr_gate.audit.gate.tables import FORMATS, TABLES, export, load
from asr_gate.cli.main import debug_option, show
from asr_gate.cli.options import REPORT, split_overrides, wandb_options
from asr_gate.cli.report_diff import command as diff


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
@click.argument("report", type=REPORT)
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

    REPORT is a report or an audit's folder. TABLE is utterances, words, gaps, heard or findings.

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


@command.command(
    "publish",
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Example: asr report publish reports/phase0 --wandb-project hebrew",
)
@click.argument("report", type=REPORT)
@click.argument("overrides", nargs=-1, metavar="[wandb.KEY=VALUE]...")
@wandb_options
@debug_option
def publish_report(report: Path, overrides: tuple[str, ...], tracking: dict[str, Any]) -> int:
    """Log a report to Weights & Biases that was made without --wandb, or was signed since.

    REPORT is a report or an audit's folder. It becomes the same artifact that asr audit --wandb
    logs, with its tables and its signature. What W&B has already becomes no new version. Without a
    server the run is offline, and asr sync sends it.

    Exit codes: 0 logged, online or offline, or there already; 2 not logged; 30 the report is
    missing or was altered.
    """
    from asr_gate.audit.gate.remote import written_beside
    from asr_gate.audit.records.report import LINK_FILE
    from asr_gate.audit.report.artifact import (
        ARTIFACT,
        Logged,
        artifact_files,
        note_logged,
        read_logged,
    )
    from asr_gate.audit.report.publish import publish, rows_of_table, run_config
    from asr_gate.cli.project import load_project
    from asr_gate.corpus.errors import UserError
    from asr_gate.corpus.mirror import named
    from asr_gate.corpus.text.plain import plain
    from asr_gate.tracking import Tracker, TrackerSettings
    from asr_gate.tracking.sync_state import waiting_run
    from asr_gate.tracking.wandb_artifacts import content_digest
    from asr_gate.tracking.wandb_run import sync_command
    from asr_gate.tracking.wandb_server import find_version

    rest, more = split_overrides(overrides)
    if rest:
        raise click.UsageError(f"{rest[0]}: is no wandb.KEY=VALUE; name one report")
    found = load(report)
    folder, name = found.path.parent, named(str(report))
    settings = TrackerSettings.resolve(
        TrackerSettings(run_name="phase0-audit", job_type="data_quality"),
        asr_toml=load_project().tracking.given(),
        **{"enabled": True, **more, **tracking},
    )
    if not settings.enabled or settings.mode == "disabled":
        switch = settings.sources["mode" if settings.enabled else "enabled"]
        raise UserError(f"{name}: not published, since W&B is switched off ({switch})")
    tracker = Tracker(settings)
    tracker.check()
    content = content_digest(artifact_files(found.content, folder))
    logged = read_logged(folder)
    if logged and logged.content == content and logged.artifact.startswith("wandb-offline:"):
        run_id = logged.artifact.removeprefix("wandb-offline:").partition("/")[0]
        if waiting := waiting_run(settings.folder, run_id):
            click.echo(plain(f"{name}: was logged offline; send it: {sync_command(waiting)}"))
            return 0
    there = find_version(settings, ARTIFACT, content)
    if there and there.latest:
        note_logged(folder, Logged(there.reference, content))
        written_beside(folder / LINK_FILE)
        click.echo(plain(f"{name}: W&B has it already, as {there.reference}; nothing to add"))
        return 0
    with tracker:
        tracker.init(config=run_config(found.content))
        table = found.path.with_name("utterances.parquet")
        rows = rows_of_table(found.arrow("utterances").to_pylist()) if table.exists() else []
        reference = publish(found.content, rows, folder, tracker)
    if not reference:
        raise UserError(f"{name}: not published: the W&B client made no artifact of it")
    same = f" (the same as {there.reference}, no new version)" if there else ""
    if (folder / LINK_FILE).exists():
        written_beside(folder / LINK_FILE)
    click.echo(plain(f"{name}: logged as {reference}{same}"))
    return 0


command.add_command(diff)
