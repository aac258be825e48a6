"""`asr sweep`."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from asr_gate.cli.main import debug_option, show
from asr_gate.cli.options import wandb_options
from asr_gate.cli.sweep_begin import demo, init
from asr_gate.cli.sweep_options import HELP, sweep_argument, tracking_flags
from asr_gate.cli.sweep_output import conclude, show_best, show_preview, show_status

if TYPE_CHECKING:
    from asr_gate.rounds.sweep.sweep import Sweep


@click.group("sweep", context_settings=HELP)
@debug_option
def command() -> None:
    """Look for the settings of a recipe that give the best model: many trainings, one winner.

    \b
    Example:
      asr sweep demo
      asr sweep init ctc-embedded --data corpus/train.jsonl
      asr sweep run sweep.yaml --dry-run
      asr sweep run sweep.yaml
      asr train sweeps/sweep/best.yaml

    docs/rounds.md describes the file.
    """


command.add_command(init)
command.add_command(demo)


@command.command(
    "run",
    context_settings=HELP,
    epilog="""\b
    Examples:
      asr sweep run sweep.yaml --dry-run
      asr sweep run sweep.yaml
    """,
)
@sweep_argument
@click.option("--count", type=click.IntRange(min=1), help="Trials to train here.  [default: all]")
@click.option("--dry-run", is_flag=True, help="Show trials, hours and cost, and stop.")
@wandb_options
@debug_option
def run(
    open_sweep: Callable[..., Sweep], count: int | None, dry_run: bool, tracking: dict[str, Any]
) -> int:
    """Train trials, one after the other, and confirm the best one.

    SWEEP is the file, or the folder of a sweep that has begun. The gate is passed once, before the
    first trial, and every trial is held to that report. Killed or interrupted, the same command
    goes on. Started again in other terminals or on other machines that share the folder, it works
    on the same sweep.

    When all trials have ended, the best one is compared with the recipe itself, on rows that no
    trial saw. best.yaml in the sweep's folder is its recipe.

    Exit codes: as asr train.
    """
    sweep = open_sweep(flags=tracking_flags(tracking))
    if dry_run:
        show_preview(sweep.preview(), sweep.file.metric.name)
        return 0
    return _train(sweep, count, tracking)


@command.command("agent", context_settings=HELP, epilog="Example: asr sweep agent sweeps/sweep")
@sweep_argument
@click.option("--count", type=click.IntRange(min=1), help="Trials to train here.  [default: all]")
@wandb_options
@debug_option
def agent(open_sweep: Callable[..., Sweep], count: int | None, tracking: dict[str, Any]) -> int:
    """Help with a sweep that has begun: take trials until there are none left.

    A trial that another process lost is taken up where it was. With several GPUs on a machine give
    each agent its own: CUDA_VISIBLE_DEVICES=1 asr sweep agent sweeps/sweep

    Exit codes: as asr train.
    """
    from asr_gate.corpus.errors import UserError

    sweep = open_sweep(flags=tracking_flags(tracking))
    if not sweep.begun:
        raise UserError(f"{sweep.folder}: no sweep has begun here; begin with asr sweep run")
    return _train(sweep, count, tracking)


def _train(sweep: Sweep, count: int | None, tracking: dict[str, Any]) -> int:
    try:
        sweep.run(count)
        conclude(sweep, tracking)
    except KeyboardInterrupt:
        click.echo("asr: interrupted; what is trained is kept, the same command goes on", err=True)
        return 130
    return 0


@command.command(
    "trial",
    context_settings=HELP | {"ignore_unknown_options": True},
    short_help="Internal: wandb agent starts a trial by it.",
)
@sweep_argument
@click.argument("values", nargs=-1, type=click.UNPROCESSED)
@debug_option
def trial(open_sweep: Callable[..., Sweep], values: tuple[str, ...]) -> int:
    """Train one trial with the values that `wandb agent` gives: --learning_rate=0.5 --epochs=4.

    It is for the agent of a sweep on W&B's server (asr sweep init --wandb). People use asr sweep
    run.
    """
    from asr_gate.rounds.sweep.server import run_trial

    run_trial(open_sweep(flags=["--wandb"]), values)
    return 0


@command.command("status", context_settings=HELP, epilog="Example: asr sweep status sweeps/sweep")
@sweep_argument
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
@debug_option
def status(open_sweep: Callable[..., Sweep], as_json: bool) -> int:
    """Show the trials, the best first; nothing is trained."""
    sweep = open_sweep()
    found = sweep.status()
    if as_json:
        content = asdict(found) | {"folder": str(found.folder), "finished": found.finished}
        show(lambda: click.echo(json.dumps(content, indent=1, ensure_ascii=False)))
        return 0
    show(lambda: show_status(found))
    return 0


@command.command("best", context_settings=HELP, epilog="Example: asr sweep best sweeps/sweep")
@sweep_argument
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
@debug_option
def best(open_sweep: Callable[..., Sweep], as_json: bool) -> int:
    """Write best.yaml, the recipe of the best trial, and say whether it is better than the recipe.

    If all trials have ended and that was not found out yet, the recipe is trained now, and both are
    compared on rows that no trial saw: the test rows, or half of the held-out ones.

    Exit codes: 0 better than the recipe by more than chance, 20 not, 30 not known (not all trials
    have ended, or there are too few rows), 2 bad usage or input.
    """
    sweep = open_sweep()
    sweep.confirm()
    found = sweep.best()
    if as_json:
        confirmation = found.confirmation.model_dump() if found.confirmation else None
        content = {
            "trial": found.trial,
            "overrides": found.overrides,
            "objective": found.objective,
            "recipe": str(found.recipe),
            "adopted": found.adopted,
            "confirmation": confirmation,
        }
        show(lambda: click.echo(json.dumps(content, indent=1, ensure_ascii=False)))
    else:
        show(lambda: show_best(found))
    if found.confirmation is None or found.confirmation.low is None:
        return 30
    return 0 if found.adopted else 20


@command.command(
    "refine",
    context_settings=HELP,
    epilog="Example: asr sweep refine sweeps/sweep --file sweep2.yaml",
)
@sweep_argument
@click.option(
    "--file",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("refined.yaml"),
    show_default=True,
    help="File that is written.",
)
@debug_option
def refine(open_sweep: Callable[..., Sweep], file: Path) -> int:
    """Write the file of a second sweep: by bayes, in a narrower space around the best trial."""
    path = open_sweep().refine(file)
    click.echo(f"{path}: run it with: asr sweep run {shlex.quote(str(path))}")
    return 0
