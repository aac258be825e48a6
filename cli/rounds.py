"""`asr rounds`."""

from __future__ import annotations

import contextlib
import json
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from asr_gate.cli.main import debug_option, show
from asr_gate.cli.options import tracker_of, wandb_options

if TYPE_CHECKING:
    from asr_gate.cli.project import Project
    from asr_gate.rounds.loop.run import Outcome, Told
    from asr_gate.rounds.loop.state import Round

HELP = {"help_option_names": ["-h", "--help"]}


@click.group("rounds", context_settings=HELP)
@debug_option
def command() -> None:
    """Go round after round: audit, sweep when due, train, evaluate, gate the model, promote it.

    \b
    Example:
      asr rounds demo
      asr rounds init
      asr rounds run rounds.toml --dry-run
      asr rounds run rounds.toml
      asr rounds status rounds.toml
    """


def _file_argument(command: Any) -> Any:
    return click.argument(
        "file", type=click.Path(path_type=Path), default=Path("rounds.toml"), metavar="[FILE]"
    )(command)


@command.command("init", context_settings=HELP, epilog="Example: asr rounds init")
@_file_argument
@debug_option
def init(file: Path) -> int:
    """Write FILE (rounds.toml), and suite.toml beside it, to be changed by hand.

    As they are, they train and test the embedded English model; write your paths into them. Neither
    replaces a file that is there.

    Exit codes: 0 written, 2 bad usage, or a file is there.
    """
    from asr_gate.corpus.text.plain import plain
    from asr_gate.rounds.loop.begin import begin

    suite = begin(file)
    click.echo(plain(f"{file}: what a round is made of; write your training data into it"))
    click.echo(plain(f"{suite}: what a model must reach; write your test data into it"))
    click.echo(plain(f"Then: asr rounds run {shlex.quote(str(file))} --dry-run"))
    return 0


@command.command("run", context_settings=HELP, epilog="Example: asr rounds run rounds.toml")
@_file_argument
@click.option("--dry-run", is_flag=True, help="Show which steps would run, and stop.")
@click.option("--json", "as_json", is_flag=True, help="Print the round as JSON.")
@debug_option
def run(file: Path, dry_run: bool, as_json: bool) -> int:
    """Go on with the newest round of FILE (rounds.toml), or begin the next one.

    Each step is a command of asr, run in the folder of FILE. A step is skipped if its inputs are
    what they were: rows, audio, recipe, models, suite. So after a kill the same command goes on;
    after a change it begins the next round, with the steps that the change does not touch taken
    over; and if nothing changed it says again what the last round came to.

    Exit codes: 0 promoted; otherwise that of the step that refused: 10, 20 or 30; 2 bad usage or
    input; 130 interrupted.
    """
    from asr_gate.rounds.loop.run import run_rounds

    project = _project(file)
    with _told(dry_run) as told:
        found = run_rounds(
            file,
            labels=tuple(project.corpus.rules),
            language=project.corpus.language,
            tracking=project.tracking.given(),
            dry_run=dry_run,
            told=told,
        )
    show(lambda: _print(found, dry_run, as_json))
    return found.exit_code


def _project(file: Path) -> Project:
    """What `asr.toml` beside the file says."""
    from asr_gate.cli.project import load_project

    folder = file.absolute().parent
    with contextlib.chdir(folder if folder.is_dir() else "."):
        return load_project()


@contextlib.contextmanager
def _told(quiet: bool = False) -> Iterator[Told]:
    """Lines on standard error; on a terminal the last line of the step that runs below them."""
    from rich.console import Console
    from rich.markup import escape

    from asr_gate.corpus.text.plain import plain
    from asr_gate.rounds.loop.run import Told

    console = Console(stderr=True)

    def say(line: str) -> None:
        console.print(plain(line), markup=False, highlight=False, soft_wrap=True)

    if quiet or not console.is_terminal:
        yield Told(say)
        return
    with console.status("") as status:
        yield Told(say, lambda line: status.update(escape(plain(line))[: console.width - 4]))


def _print(found: Outcome, dry_run: bool, as_json: bool) -> None:
    from dataclasses import asdict

    from asr_gate.corpus.text.plain import plain
    from asr_gate.rounds.loop.status import as_dict

    if as_json:
        (content,) = as_dict([found.round])
        content |= {"exit_code": found.exit_code, "reason": found.reason}
        if dry_run:
            content["planned"] = [asdict(one) for one in found.planned]
        click.echo(json.dumps(content, indent=1, ensure_ascii=False))
        return
    if dry_run:
        click.echo(f"round {found.round.number}")
        for one in found.planned:
            click.echo(plain(f"  {one.name:<9} {'runs' if one.runs else f'skipped: {one.says}'}"))
        return
    click.echo(plain(f"Round {found.round.number}: {found.round.outcome} ({found.reason})"))


@command.command(
    "status", context_settings=HELP, epilog="Example: asr rounds status --plot rounds.png"
)
@_file_argument
@click.option(
    "--plot",
    type=click.Path(path_type=Path),
    metavar="PICTURE",
    help="Write WER by domain, promotions and cases as a picture (.png, .svg).",
)
@click.option("--json", "as_json", is_flag=True, help="Print the rounds as JSON.")
@wandb_options
@debug_option
def status(file: Path, plot: Path | None, as_json: bool, tracking: dict[str, Any]) -> int:
    """Show every round of FILE: WER by domain, gain, cases, and what was promoted.

    The gain is that over the model that was in use then, by the gate for models.
    """
    from asr_gate.rounds.loop import status as loop_status
    from asr_gate.rounds.loop.settings import load_settings
    from asr_gate.rounds.loop.state import read_rounds

    tracker = tracker_of("rounds", tracking)
    with contextlib.chdir(load_settings(file.absolute()).home):
        rounds = read_rounds()
    if plot is not None:
        loop_status.plot(rounds, plot)
    with tracker:
        tracker.init(config={"rounds": {"file": str(file)}})
        loop_status.log_rounds(tracker, rounds)
    show(lambda: _status(rounds, as_json))
    return 0


def _status(rounds: list[Round], as_json: bool) -> None:
    from rich.console import Console

    from asr_gate.cli.tables import show_table
    from asr_gate.rounds.loop.status import as_dict, table

    if as_json:
        click.echo(json.dumps(as_dict(rounds), indent=1, ensure_ascii=False))
        return
    if not rounds:
        click.echo("No rounds yet; begin with: asr rounds run rounds.toml")
        return
    headings, rows = table(rounds)
    show_table(headings, rows, Console(), left=(1, 6))


@command.command("demo", context_settings=HELP, epilog="Example: asr rounds demo")
@click.argument(
    "folder", type=click.Path(path_type=Path, file_okay=False), default=Path("rounds-demo")
)
@debug_option
def demo(folder: Path) -> int:
    """Run three rounds on the bundled corpus, in FOLDER, a few minutes on two cores.

    All trainings and tests are real. The first model hardly learnt; the second one is better and
    is promoted; the third one is better again, but not in the messages of a regression set, and is
    refused. Interrupted or killed, the same command goes on.

    Exit codes: 0 done as told here, 20 a round came to something else, 2 bad usage or input.
    """
    from asr_gate.corpus.text.plain import plain
    from asr_gate.rounds.loop.demo import ROUNDS_FILE, as_expected, demo
    from asr_gate.rounds.loop.state import read_rounds

    with _told() as told:
        demo(folder, told)
    with contextlib.chdir(folder):
        rounds = read_rounds()
    expected = as_expected(rounds)
    gate = rounds[1].steps.get("gate")

    def lines() -> None:
        _status(rounds, False)
        if gate is not None:
            click.echo(plain(f"round 2: {gate.facts['gain_says']}"))
        refused = rounds[2].steps[rounds[2].refused] if rounds[2].refused else None
        if refused is not None:
            click.echo(plain(f"round 3{', as expected' * expected}: {refused.says}"))
        click.echo(plain(f"Look at {folder}: asr rounds status {folder / ROUNDS_FILE}"))

    show(lines)
    return 0 if expected else 20
