"""`asr explain`."""

from __future__ import annotations

import json
import sys

import click

from asr_gate.cli.main import debug_option, show


@click.command(
    "explain",
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Example: asr explain A005",
)
@click.argument("code")
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
@debug_option
def command(code: str, as_json: bool) -> None:
    """Print the page of a rule: what it finds, why it matters, how to fix it, where it errs.

    CODE is a rule's code or its name; `asr rules` lists them.
    """
    from asr_gate.audit.records.rules import find_rule

    rule = find_rule(code)
    page = rule.page
    if as_json:
        told = {
            "code": rule.code,
            "name": rule.name,
            "severity": rule.severity,
            "summary": rule.summary,
            "fix": rule.fix,
            "page": page,
        }
        show(lambda: click.echo(json.dumps(told, indent=2, ensure_ascii=False)))
    elif sys.stdout.isatty():
        from rich.console import Console
        from rich.markdown import Markdown

        console = Console()
        with console.capture() as drawn:
            console.print(Markdown(page))
        show(lambda: click.echo(drawn.get(), nl=False))
    else:
        show(lambda: click.echo(page, nl=False))
