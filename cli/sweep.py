"""`asr sweep`."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from dataclasses import asdict
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from asr_gate.cli.main import debug_option, show
from asr_gate.cli.options import wandb_options

if TYPE_CHECKING:
    from asr_gate.rounds.sweep.preview import Preview
    from asr_gate.rounds.sweep.results import Best, Status
    from asr_gate.rounds.sweep.sweep import Sweep

HELP = {"help_option_names": ["-h", "--help"]}


@click.group("sweep", context_settings=HELP)
@debug_option
def command() -> None:
    """Look for the settings of a recipe that give the best model: many trainings, one winner.

    \b
    Example:
      asr sweep init ctc-embedded --data corpus/train.jsonl
      asr sweep run sweep.yaml --dry-run
      asr sweep run sweep.yaml
      asr train sweeps/sweep/best.yaml

    docs/rounds.md describes the file.
    """


def _sweep_argument(command: Callable[..., int]) -> Any:
    """`SWEEP` and `--out`; the command gets a function that opens the sweep."""

    @click.argument("sweep", type=click.Path(path_type=Path), metavar="SWEEP")
    @click.option(
        "--out",
        type=click.Path(path_type=Path, file_okay=False),
        metavar="FOLDER",
        help="Folder of the sweep.  [default: sweeps/NAME]",
    )
    @wraps(command)
    def with_sweep(*arguments: Any, sweep: Path, out: Path | None, **others: Any) -> int:
        return command(*arguments, open_sweep=_opener(sweep, out), **others)

    return with_sweep


def _opener(path: Path, out: Path | None) -> Callable[..., Sweep]:
    def open_sweep(**more: Any) -> Sweep:
        from asr_gate.cli.project import load_project, reading
        from asr_gate.corpus.text.plain import plain
        from asr_gate.rounds.sweep.sweep import Sweep

        project = load_project()
        source = reading(project, [], None, None)
        return Sweep.from_yaml(
            path,
            out=out,
            data=source.manifests,
            audio_root=source.audio_root,
            split=source.split,
            labels=source.labels,
            reports=project.output.reports,
            language=project.corpus.language,
            say=lambda line: click.echo(plain(line)),
            **more,
        )

    return open_sweep


@command.command(
    "init",
    context_settings=HELP,
    epilog="""\b
    Examples:
      asr sweep init ctc-embedded --data corpus/train.jsonl
      asr sweep init round2 --preset finetuning --method bayes
      asr sweep init --file sweep.yaml --wandb
    """,
)
@click.argument("recipe", required=False)
@click.option(
    "--file",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("sweep.yaml"),
    show_default=True,
    help="File that is written; without RECIPE it is read.",
)
@click.option(
    "--preset",
    type=click.Choice(["minimal", "finetuning"]),
    default="minimal",
    show_default=True,
    help="Learning rate and epochs in five trials, or every single number in twenty.",
)
@click.option(
    "--method",
    type=click.Choice(["random", "bayes", "grid"]),
    default="random",
    show_default=True,
    help="How values are chosen.",
)
@click.option("--data", multiple=True, metavar="MANIFEST", help="Manifest to train on, audited.")
@click.option("--report", metavar="PATH", help="The audit that allows it.")
@click.option("--accept-caution", is_flag=True, help="Train although the report says CAUTION.")
@wandb_options
@debug_option
def init(
    recipe: str | None,
    file: Path,
    preset: Literal["minimal", "finetuning"],
    method: Literal["random", "bayes", "grid"],
    data: tuple[str, ...],
    report: str | None,
    accept_caution: bool,
    tracking: dict[str, Any],
) -> int:
    """Write the file of a sweep over RECIPE, to be changed by hand; or check one.

    The file is in W&B's own format. With --wandb the sweep is created on W&B's server, whose
    controller then chooses the values; `wandb agent` starts the trials here.

    Exit codes: 0 done, 2 bad usage or input; with --wandb also those of asr gate.
    """
    from asr_gate.rounds.sweep import presets

    if recipe is not None:
        options = [part for one in data for part in ("--data", one)]
        options += ["--report", report] if report else []
        options += ["--accept-caution"] * accept_caution
        presets.write(file, presets.preset(preset, recipe, method, options))
    sweep = _opener(file, None)()
    wanted = tracking.pop("enabled", False)
    from asr_gate.rounds.sweep.space import trials

    count = trials(sweep.file)
    if not wanted:
        click.echo(f"{file}: {count} trials of {sweep.base.recipe} by {sweep.file.method}")
        click.echo(f"See what it costs with: asr sweep run {shlex.quote(str(file))} --dry-run")
        return 0
    from asr_gate.cli.project import load_project
    from asr_gate.rounds.sweep.server import create
    from asr_gate.tracking import TrackerSettings

    settings = TrackerSettings.resolve(
        TrackerSettings(), asr_toml=load_project().tracking.given(), enabled=True, **tracking
    )
    click.echo(f"Sweep: {(address := create(sweep, settings))}")
    click.echo(f"Start trials, on any machine that has this folder: wandb agent {address}")
    return 0


@command.command(
    "run",
    context_settings=HELP,
    epilog="""\b
    Examples:
      asr sweep run sweep.yaml --dry-run
      asr sweep run sweep.yaml
    """,
)
@_sweep_argument
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
    sweep = open_sweep(flags=_flags(tracking))
    if dry_run:
        _show_preview(sweep.preview(), sweep.file.metric.name)
        return 0
    sweep.run(count)
    _conclude(sweep, tracking)
    return 0


@command.command("agent", context_settings=HELP, epilog="Example: asr sweep agent sweeps/sweep")
@_sweep_argument
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

    sweep = open_sweep(flags=_flags(tracking))
    if not sweep.begun:
        raise UserError(f"{sweep.folder}: no sweep has begun here; begin with asr sweep run")
    sweep.run(count)
    _conclude(sweep, tracking)
    return 0


@command.command(
    "trial",
    context_settings=HELP | {"ignore_unknown_options": True},
    hidden=True,
)
@_sweep_argument
@click.argument("values", nargs=-1, type=click.UNPROCESSED)
@debug_option
def trial(open_sweep: Callable[..., Sweep], values: tuple[str, ...]) -> int:
    """Train one trial with the values that `wandb agent` gives: --learning_rate=0.5 --epochs=4."""
    from asr_gate.rounds.sweep.server import run_trial

    run_trial(open_sweep(flags=["--wandb"]), values)
    return 0


@command.command("status", context_settings=HELP, epilog="Example: asr sweep status sweeps/sweep")
@_sweep_argument
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
    show(lambda: _show_status(found))
    return 0


@command.command("best", context_settings=HELP, epilog="Example: asr sweep best sweeps/sweep")
@_sweep_argument
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
        show(lambda: _show_best(found))
    if found.confirmation is None or found.confirmation.low is None:
        return 30
    return 0 if found.adopted else 20


@command.command(
    "refine",
    context_settings=HELP,
    epilog="Example: asr sweep refine sweeps/sweep --file sweep2.yaml",
)
@_sweep_argument
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


def _flags(tracking: dict[str, Any]) -> list[str]:
    """The same options for `asr train`; names and groups of the runs are the sweep's."""
    found = []
    if (enabled := tracking.get("enabled")) is not None:
        found.append("--wandb" if enabled else "--no-wandb")
    if project := tracking.get("project"):
        found += ["--wandb-project", project]
    if tags := tracking.get("tags"):
        found += ["--wandb-tags", ",".join(tags)]
    return found


def _conclude(sweep: Sweep, tracking: dict[str, Any]) -> None:
    found = sweep.status()
    left = found.trials - sum(map(found.count, ("complete", "pruned", "failed")))
    if found.count("complete"):
        show(lambda: _show_best(sweep.best()))
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


def _show_best(found: Best) -> None:
    from asr_gate.rounds.sweep.space import overrides

    click.echo(f"Best: trial {found.trial}: {' '.join(overrides(found.overrides))}")
    if found.confirmation is None:
        click.echo("Not compared with the recipe yet.")
    else:
        click.echo(found.confirmation.said())
    if found.adopted:
        click.echo(f"Train it with: asr train {shlex.quote(str(found.recipe))}")
    else:
        click.echo(f"Not better by more than chance; its recipe is {found.recipe} all the same.")


def _show_status(found: Status) -> None:
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


def _show_preview(found: Preview, metric: str) -> None:
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
