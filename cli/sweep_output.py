"""What `asr sweep` prints and logs."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from asr_gate.cli.main import show

if TYPE_CHECKING:
    from asr_gate.rounds.sweep.preview import Preview
    from asr_gate.rounds.sweep.results import Best, Status
    from asr_gate.rounds.sweep.sweep import Sweep


def conclude(sweep: Sweep, tracking: dict[str, Any]) -> None:
    """Say what a sweep has come to, and write and log its report."""
    found = sweep.status()
    left = found.trials - sum(map(found.count, ("complete", "pruned", "failed")))
    if found.count("complete"):
        show(lambda: show_best(sweep.best()))
    files = sweep.report()
    if left == 0 and found.count("complete"):
        _log(sweep, files, tracking)
    elif left > 0:
        click.echo(f"{left} of {found.trials} trials are left; the same command goes on")
    click.echo(f"Report: {sweep.folder / 'report.md'}")


def _log(sweep: Sweep, files: list[Path], tracking: dict[str, Any]) -> None:
    from asr_gate.cli.project import load_project
    from asr_gate.rounds.sweep.track import log_sweep
    from asr_gate.tracking import Tracker, TrackerSettings

    named = TrackerSettings(run_name=sweep.name, group=sweep.name, job_type="sweep")
    settings = TrackerSettings.resolve(named, asr_toml=load_project().tracking.given(), **tracking)
    with Tracker(settings) as tracker:
        tracker.init(config={"sweep": sweep.file.model_dump(mode="json", exclude_unset=True)})
        log_sweep(tracker, sweep, files)


def show_best(found: Best) -> None:
    """The best trial, and whether it is better than the recipe."""
    from asr_gate.rounds.sweep.space import overrides

    click.echo(f"Best: trial {found.trial}: {' '.join(overrides(found.overrides))}")
    if found.confirmation is None:
        click.echo("Not compared with the recipe yet.")
    else:
        click.echo(found.confirmation.said())
    if found.adopted:
        click.echo(f"Train it with: asr {shlex.join(found.training)}")
    else:
        click.echo(f"Not better by more than chance; its recipe is {found.recipe} all the same.")


def show_status(found: Status) -> None:
    """How many trials there are of each kind, and a table of them."""
    from rich.console import Console

    from asr_gate.cli.tables import show_table
    from asr_gate.rounds.sweep.report import columns, table

    counts = [
        f"{found.count(state)} {state}"
        for state in ("complete", "pruned", "failed", "running", "lost")
        if found.count(state)
    ]
    click.echo(f"{found.name}: {', '.join(counts) or 'nothing begun'}, of {found.trials} trials")
    if found.rows:
        show_table(columns(found), table(found), Console(), left=(1,))


def show_preview(found: Preview, metric: str) -> None:
    """Report, trials, rows, hours and cost."""
    click.echo(f"report     {found.report}: {found.decision}")
    click.echo(f"trials     {found.trials}, and the recipe itself to compare with")
    click.echo(
        f"rows       {found.training:,} train; {found.choose:,} choose by {metric}; "
        f"{found.confirm:,} confirm, which no trial sees"
    )
    if found.hours is None or found.total is None:
        click.echo("hours      unknown: set budget.realtime, or run one trial: --count 1")
        return
    source = f"as {found.measured} trials took" if found.measured else "by the plan of the recipe"
    limit = "" if found.limit is None else f", no trial starts after {found.limit:g}"
    click.echo(f"hours      {found.hours:.2f} each, {source}; {found.total:.1f} together{limit}")
    cost = "unknown: set budget.price" if found.cost is None else f"{found.cost:.2f}"
    click.echo(f"cost       {cost}")
