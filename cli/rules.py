"""`asr rules`."""

from __future__ import annotations

import json
import sys

import click

from asr_gate.cli.main import debug_option, show


@click.command(
    "rules",
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Example: asr rules",
)
@click.option("--json", "as_json", is_flag=True, help="Print them as JSON.")
@debug_option
def command(as_json: bool) -> None:
    """List the rules: what an audit looks for, and how much it weighs.

    A policy may give a rule another severity, or switch it off, in its section [rules], by code or
    by name.
    """
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    from asr_gate.audit.records.rules import catalogue

    if as_json:
        listed = [
            {
                "code": rule.code,
                "name": rule.name,
                "severity": rule.severity,
                "summary": rule.summary,
                "fix": rule.fix,
            }
            for rule in catalogue().values()
        ]
        show(lambda: click.echo(json.dumps(listed, indent=2)))
        return
    table = Table("code", "name", "severity", "what it finds", box=SIMPLE_HEAD, pad_edge=False)
    for rule in catalogue().values():
        table.add_row(rule.code, rule.name, rule.severity, rule.summary)
    # In a pipe one line is one rule.
    console = Console(width=None if sys.stdout.isatty() else 200)
    with console.capture() as drawn:
        console.print(table)
    lines = "\n".join(line.rstrip() for line in drawn.get().splitlines()).strip("\n")
    show(lambda: click.echo(f"{lines}\n\nasr explain CODE says more."))
