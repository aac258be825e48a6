"""`asr sweep init` and `asr sweep demo`."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any, Literal

import click

from asr_gate.cli.main import debug_option
from asr_gate.cli.options import wandb_options
from asr_gate.cli.sweep_options import HELP, opener, project_settings


@click.command(
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

    Before anything is written, recipe and data are read, and the audit must allow to train on them.

    The file is in W&B's own format. With --wandb the sweep is created on W&B's server, whose
    controller then chooses the values; `wandb agent` starts the trials here.

    Exit codes: 0 done, 2 bad usage or input, 10, 20 and 30 as asr gate.
    """
    from asr_gate.rounds.sweep import presets
    from asr_gate.rounds.sweep.base import Base, with_project

    open_sweep = opener(file, None)
    if recipe is not None:
        presets.require_new(file)
        base = Base(recipe, data=data, report=report, accept_caution=accept_caution)
        content = presets.preset(preset, recipe, method, base.arguments()[2:])
        with_project(base, project_settings()).check_inputs()
        presets.write(file, content)
        sweep = open_sweep()
    else:
        sweep = open_sweep()
        sweep.base.check_inputs(sweep.loaded.where("command"))
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
        TrackerSettings(),
        asr_toml=load_project().tracking.given(),
        enabled=True,
        **tracking,
    )
    click.echo(f"Sweep: {(address := create(sweep, settings))}")
    click.echo(f"Start trials, on any machine that has this folder: wandb agent {address}")
    return 0


@click.command("demo", context_settings=HELP, epilog="Example: asr sweep demo")
@click.argument(
    "folder", type=click.Path(path_type=Path, file_okay=False), default=Path("sweep-demo")
)
@debug_option
def demo(folder: Path) -> int:
    """Run a whole sweep on the bundled corpus, in FOLDER, a few minutes on two cores.

    It is audited, five trials are trained by two agents, and the best one is compared with the
    recipe. All trainings are real. The commands are shown, to be typed again. Interrupted or
    killed, the same command goes on.

    Exit codes: 0 the best trial is better than the recipe, 20 it is not, 30 it is not known, 2 bad
    usage or input.
    """
    from asr_gate.corpus.text.plain import plain
    from asr_gate.rounds.sweep.demo import FOLDER, REFINED, demo

    code = demo(folder, lambda line: click.echo(plain(line)))
    click.echo(f"Look at {folder / FOLDER / 'report.md'}, and at report.png beside it.")
    click.echo(
        f"Next, in {folder}: train by best.yaml as said above, or look around the best trial: "
        f"asr sweep run {REFINED}"
    )
    return code
