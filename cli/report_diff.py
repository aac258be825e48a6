"""`asr report diff`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from asr_gate.cli.main import debug_option, show
from asr_gate.cli.options import REPORT

if TYPE_CHECKING:
    from asr_gate.audit.report.diff import Diff, QualityChange, Side, Verdict

SHOWN = 10
"""Rows that are printed of those that fare better, and of those that fare worse."""


@click.command(
    "diff",
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Example: asr report diff reports/before reports/phase0",
)
@click.argument("a", type=REPORT)
@click.argument("b", type=REPORT)
@click.option("--json", "as_json", is_flag=True, help="Print all of it as JSON.")
@debug_option
def command(a: Path, b: Path, as_json: bool) -> int:
    """Say what changed from report A to report B: data, findings, estimate, quality of rows.

    A and B are reports or folders of audits, usually of one corpus before and after corrections.

    Exit codes: 0 compared, whatever changed; 2 bad usage; 30 a report or a table of it is missing
    or was altered.
    """
    from asr_gate.audit.report.diff import diff

    found = diff(_side(a), _side(b))
    show(lambda: _print(found, a, b, as_json))
    return 0


def _side(path: Path) -> Side:
    from asr_gate.audit.gate.admission import rows_of
    from asr_gate.audit.gate.tables import load
    from asr_gate.audit.report.diff import Side

    found = load(path)
    table = found.arrow("utterances")
    ids, quality = (table.column(name).to_pylist() for name in ("id", "quality"))
    rows = rows_of(found.content, found.path.parent)
    return Side(found.content, rows, dict(zip(ids, quality, strict=True)))


def _print(found: Diff, a: Path, b: Path, as_json: bool) -> None:
    import json
    from dataclasses import asdict

    from rich.console import Console

    from asr_gate.cli.tables import show_table
    from asr_gate.corpus.mirror import named
    from asr_gate.corpus.text.plain import plain

    if as_json:
        click.echo(json.dumps(asdict(found), ensure_ascii=False, indent=2))
        return
    click.echo(plain(named(f"A: {a}: {_said(found.a)}")))
    click.echo(plain(named(f"B: {b}: {_said(found.b)}")))
    if found.settings:
        click.echo(f"They also differ in {', '.join(found.settings)}")
    click.echo(f"Rows: {_rows(found)}")
    console = Console()
    if found.rules:
        lines = [
            [code, str(c.a), str(c.b), str(len(c.gone)), str(len(c.new))]
            for code, c in found.rules.items()
        ]
        show_table(["findings", "A", "B", "rows cleared", "rows new"], lines, console)
    for name, changes in (("better", found.better), ("worse", found.worse)):
        if changes:
            click.echo(_heading(name, changes))
            lines = [[c.id, f"{c.a:.2f}", f"{c.b:.2f}", c.how] for c in changes[:SHOWN]]
            show_table(
                ["row", "quality A", "quality B", "the row itself"], lines, console, left=[3]
            )
    if not found.better and not found.worse:
        click.echo("No row that both audited has another quality.")


def _said(side: Verdict) -> str:
    audited = f"{side.audited} of {side.utterances} utterances audited"
    if not side.judged:
        return f"{side.decision}, nothing could be judged; {audited}"
    rate, low, high = (100 * share for share in (side.rate, side.low, side.high))
    return f"{side.decision}, {rate:.1f} % of low quality ({low:.1f} to {high:.1f} %); {audited}"


def _rows(found: Diff) -> str:
    if found.rows is None:
        return "not known, because a report has no rows.jsonl beside it"
    counted = Counter(row.how for row in found.rows)
    return ", ".join(f"{count} {how}" for how, count in counted.most_common()) or "all the same"


def _heading(name: str, changes: Sequence[QualityChange]) -> str:
    many = "1 row fares" if len(changes) == 1 else f"{len(changes)} rows fare"
    more = f"; the first {SHOWN}, --json lists all" if len(changes) > SHOWN else ""
    return f"{many} {name}{more}:"
