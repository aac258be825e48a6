"""`asr sync`."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from asr_gate.cli.main import debug_option, show

if TYPE_CHECKING:
    from asr_gate.tracking.sync import Synced


@click.command(
    "sync",
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Example: asr sync wandb/offline-run-20260102_030405-abcd1234",
)
@click.argument("runs", nargs=-1, type=click.Path(path_type=Path), metavar="[RUN]...")
@click.option("--json", "as_json", is_flag=True, help="Print what was sent as JSON.")
@debug_option
def command(runs: tuple[Path, ...], as_json: bool) -> int:
    """Send W&B runs that were made offline or not sent completely, and add their lineage.

    RUN is a run's folder. Without one, every unsent run in ./wandb (or $WANDB_DIR/wandb) is named
    and sent, the oldest first. Nothing is sent twice. The folders stay.

    Exit codes: 0 W&B has everything, 2 something is left to do, and a line says what.
    """
    from asr_gate.corpus.text.plain import plain
    from asr_gate.tracking.sync import pending, sync

    folders = list(runs) or pending()
    if folders and not runs and not as_json:
        waiting = "1 run waits" if len(folders) == 1 else f"{len(folders)} runs wait"
        click.echo(plain(f"{waiting} to be sent: {', '.join(map(str, folders))}"))
    results = []
    try:
        for result in sync(folders):
            results.append(result)
            if not as_json:
                _print(result)
    finally:  # a server that is lost midway does not undo what was sent
        if as_json:
            show(lambda: click.echo(json.dumps([asdict(one) for one in results], indent=2)))
    if not folders and not as_json:
        click.echo("Nothing waits to be sent.")
    return 2 if any(one.problem for one in results) else 0


def _print(result: Synced) -> None:
    if result.run:
        done = "sent to" if result.sent else "is at"
        click.echo(f"{result.folder}: {done} {result.run} on {result.host}")
    for artifact in result.linked:
        click.echo(f"{result.folder}: linked to {artifact}")
    if result.problem:
        click.echo(f"asr: {result.folder}: {result.problem}", err=True)
