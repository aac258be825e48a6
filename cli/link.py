"""`asr link`."""

from __future__ import annotations

import json
from dataclasses import asdict

import click

from asr_gate.cli.main import debug_option, show


@click.command(
    "link",
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Example: asr link runs/round2",
)
@click.argument("run")
@click.option("--json", "as_json", is_flag=True, help="Print what was linked as JSON.")
@debug_option
def command(run: str, as_json: bool) -> int:
    """Make the audit's report an input of a training's W&B run, as the run's config names it.

    RUN is the training's folder, the folder of its W&B run, or ENTITY/PROJECT/RUN. `asr sync` does
    this itself if the audit was sent before. Linking twice does no harm.

    Exit codes: 0 linked, 2 not linked, and a line says why.
    """
    from asr_gate.tracking.sync import link

    result = link(run)
    if as_json:
        show(lambda: click.echo(json.dumps(asdict(result), indent=2)))
    for artifact in result.linked:
        if not as_json:
            click.echo(f"{result.run}: linked to {artifact}")
    if result.problem:
        click.echo(f"asr: {result.run}: {result.problem}", err=True)
    return 2 if result.problem else 0
