"""`asr runs`."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import asdict, fields
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from asr_gate.cli.main import debug_option, show

if TYPE_CHECKING:
    from asr_gate.history import Entry


@click.command(
    "runs",
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Example: asr runs --json",
)
@click.argument("folder", default=".", type=click.Path(path_type=Path, exists=True))
@click.option("--json", "as_json", is_flag=True, help="Print them as JSON.")
@click.option("--csv", "as_csv", is_flag=True, help="Print one line each as CSV.")
@debug_option
def command(folder: Path, as_json: bool, as_csv: bool) -> int:
    """List audits, trainings and evaluations under FOLDER, the newest first.

    They are looked for in its folders reports, runs and evals.
    """
    if as_json and as_csv:
        raise click.UsageError("--json and --csv contradict each other; give one of them")
    from asr_gate.history import history

    found = history(folder)
    show(lambda: _print_csv(found) if as_csv else _print(found, as_json))
    return 0


def _print_csv(found: list[Entry]) -> None:
    from asr_gate.corpus.text.plain import plain
    from asr_gate.history import Entry

    def cell(value: object) -> object:
        if isinstance(value, str):
            return plain(value)
        return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else value

    table = io.StringIO()
    writer = csv.DictWriter(table, [one.name for one in fields(Entry)], lineterminator="\n")
    writer.writeheader()
    for entry in found:
        writer.writerow({name: cell(value) for name, value in asdict(entry).items()})
    click.echo(table.getvalue(), nl=False)


def _print(found: list[Entry], as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps([asdict(one) for one in found], indent=2, ensure_ascii=False))
        return
    if not found:
        click.echo("nothing under reports, runs and evals; begin with: asr audit MANIFEST")
        return
    from rich.console import Console
    from rich.text import Text

    from asr_gate.cli.tables import fits, show_table
    from asr_gate.corpus.text.plain import plain

    console = Console()
    rows = [_cells(one) for one in found]
    headings = ["name", "kind", "when", "status", "decision", "WER", "with", "data"]
    if fits(headings, rows, console):
        show_table(headings, rows, console, left=(1, 2, 3, 4, 6, 7))
        return
    for name, kind, when, status, decision, wer, made_with, data in rows:
        console.print(Text(plain(f"{name}: {kind} {status}, {when}"), "bold"), soft_wrap=True)
        told = "; ".join(filter(None, (decision, f"WER {wer}" if wer else "", made_with, data)))
        if told:
            console.print(Text(plain(f"  {told}")), soft_wrap=True)


def _cells(one: Entry) -> list[str]:
    decision = one.decision or ""
    if one.kind == "audit" and one.low_quality_percentage is not None:
        decision += f" {one.low_quality_percentage:.1f} %"
    changed = (
        f"{key}={json.dumps(value, ensure_ascii=False)}"
        for key, value in (one.overrides or {}).items()
    )
    made_with = " ".join(filter(None, (one.recipe, one.checkpoint, one.aligner, *changed)))
    if one.reason:
        made_with = f"{made_with} ({one.reason})".strip()
    when = datetime.fromisoformat(one.when).astimezone().strftime("%Y-%m-%d %H:%M")
    wer = "" if one.wer is None else f"{100 * one.wer:.2f} %"
    data = ", ".join(one.data) or (one.fingerprint or "")[:15]
    return [one.name, one.kind, when, one.status, decision, wer, made_with, data]
