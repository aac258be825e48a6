"""`asr explain`."""

from __future__ import annotations

import difflib
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
    from asr_gate.audit.records.rules import catalogue
    from asr_gate.corpus.errors import UserError

    wanted = code.strip().lower()
    rule = next((r for r in catalogue().values() if wanted in (r.code.lower(), r.name)), None)
    if rule is None:
        known = {name: r.code for r in catalogue().values() for name in (r.code.lower(), r.name)}
        near = difflib.get_close_matches(wanted, known, n=3, cutoff=0.3)
        hint = f"; near it: {', '.join(dict.fromkeys(known[n] for n in near))}" if near else ""
        raise UserError(f"{code or repr(code)}: no such rule{hint}; asr rules lists them")
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
