"""`asr model`."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from asr_gate.cli.main import debug_option, show
from asr_gate.cli.options import wandb_options

if TYPE_CHECKING:
    from asr_gate.rounds.model_gate.result import GateResult
    from asr_gate.rounds.registry.events import Event, Production
    from asr_gate.rounds.registry.promote import Promotion

EXIT_CODES = {"pass": 0, "fail": 20, "no decision": 30}


def _registry_option(command: Any) -> Any:
    return click.option(
        "--registry",
        type=click.Path(path_type=Path, file_okay=False),
        default=Path("registry"),
        show_default=True,
        help="Folder of the log.",
    )(command)


@click.group("model", context_settings={"help_option_names": ["-h", "--help"]})
@debug_option
def command() -> None:
    """Decide whether a model is better than another one, and which one is in use.

    \b
    Example:
      asr model gate runs/round2/final --against runs/round1/final --suite suite.toml
      asr model promote runs/round2/final
    """


@command.command(
    "gate",
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="""\b
    Examples:
      asr model gate runs/round2/final --against runs/round1/final --suite suite.toml
      asr model gate evals/round2-final --against evals/round1-final --suite suite.toml --json
    """,
)
@click.argument("candidate")
@click.option(
    "--against",
    required=True,
    metavar="BASELINE",
    help="The model that it would replace: a checkpoint, or its result.",
)
@click.option(
    "--suite",
    required=True,
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="What it is tested on, and what is asked of it (TOML).",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="Folder of gate.json, gate.md, junit.xml and gate.sarif.  [default: a new one under "
    "gates/]",
)
@click.option(
    "--batch-seconds",
    type=click.FloatRange(min=0, min_open=True),
    default=60.0,
    show_default=True,
    help="Padded audio in one batch.",
)
@click.option(
    "--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True
)
@click.option("--json", "as_json", is_flag=True, help="Print what was found as JSON.")
@wandb_options
@debug_option
def gate(
    candidate: str,
    against: str,
    suite: Path,
    out: Path | None,
    batch_seconds: float,
    device: Literal["auto", "cpu", "cuda"],
    as_json: bool,
    tracking: dict[str, Any],
) -> int:
    """Hold CANDIDATE against another model and against what a suite asks.

    CANDIDATE and BASELINE are checkpoints, which are evaluated, or results of asr eval on the
    suite's data. The candidate must be better by the suite's share (5 % of the WER unless it says
    otherwise) with the whole interval, worse in no domain beyond its interval, within every limit,
    and right on every regression set. docs/rounds.md shows a suite.

    Exit codes: 0 it may replace the baseline; 20 it may not; 30 the rows cannot tell, both have a
    WER of 100 % or more, or the test rows are not what they were; 2 bad usage or input.
    """
    from asr_gate.cli.progress import AuditProgress
    from asr_gate.cli.project import load_project
    from asr_gate.rounds.model_gate.formats import write_gate
    from asr_gate.rounds.model_gate.run import gate_model
    from asr_gate.rounds.model_gate.suite import load_suite
    from asr_gate.rounds.model_gate.track import gate_config, log_gate
    from asr_gate.tracking import Tracker, TrackerSettings
    from asr_gate.train.evaluation.evaluate_checkpoint import evaluate_checkpoint
    from asr_gate.train.files import claim_folder

    loaded = load_suite(suite)
    project = load_project()
    settings = TrackerSettings.resolve(
        TrackerSettings(run_name="model-gate", job_type="model_gate"),
        asr_toml=project.tracking.given(),
        **tracking,
    )
    Tracker(settings).check()
    with AuditProgress("transcribing", "transcribed") as progress:
        evaluate = partial(
            evaluate_checkpoint, batch_seconds=batch_seconds, device=device, progress=progress
        )
        gated = gate_model(
            candidate,
            against,
            loaded,
            evaluate,
            tuple(project.corpus.rules),
            project.corpus.language,
        )
    result = gated.result
    name = "-".join(Path(result.candidate.checkpoint).resolve().parts[-2:])
    folder = out or claim_folder(Path("gates") / name)
    files = write_gate(gated, folder)
    with Tracker(settings) as tracker:
        tracker.init(config=gate_config(result))
        log_gate(tracker, gated, files)
    show(lambda: _print(result, folder, as_json))
    return EXIT_CODES[result.outcome]


def _print(result: GateResult, folder: Path, as_json: bool) -> None:
    from rich.console import Console
    from rich.text import Text

    from asr_gate.corpus.text.plain import plain

    if as_json:
        click.echo(result.model_dump_json(indent=1))
        return
    click.echo(plain(f"candidate: {result.candidate.checkpoint}"))
    click.echo(plain(f"baseline:  {result.baseline.checkpoint}"))
    console = Console()
    width = max(len(check.outcome) for check in result.checks)
    for check in result.checks:
        line = plain(f"{check.group} {check.name}: {check.says}")
        style = "bold red" if check in result.failed else ""
        console.print(Text(f"{check.outcome:<{width}}  {line}", style), soft_wrap=True)
    click.echo(plain(f"Model gate: {result.outcome} ({folder})"))


@command.command(
    "promote",
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="""\b
    Examples:
      asr model promote runs/round2/final
      asr model promote --rollback --why "complaints about names"
    """,
)
@click.argument("checkpoint", required=False, type=click.Path(path_type=Path))
@click.option(
    "--rollback", is_flag=True, help="Put the model back into use that was in use before."
)
@click.option(
    "--gate",
    "gate_",
    type=click.Path(path_type=Path),
    metavar="FILE|FOLDER",
    help="What asr model gate found.  [default: the newest about this model under gates/]",
)
@click.option(
    "--report",
    metavar="REPORT",
    help="The audit of what it was trained on.  [default: where the record of its run says]",
)
@click.option("--accept-caution", is_flag=True, help="Accept CAUTION of that audit.")
@click.option("--why", default="", metavar="TEXT", help="For the log.")
@_registry_option
@click.option("--json", "as_json", is_flag=True, help="Print the model in use as JSON.")
@click.option("--wandb/--no-wandb", default=True, help="Move the alias `production` in W&B.")
@debug_option
def promote_(
    checkpoint: Path | None,
    rollback: bool,
    gate_: Path | None,
    report: str | None,
    accept_caution: bool,
    why: str,
    registry: Path,
    as_json: bool,
    wandb: bool,
) -> int:
    """Put CHECKPOINT into use, or go back to the model before.

    A model is put into use only if a gate passed it against the model in use; if the suite and its
    rows are still what they were; if no row of the tests has audio that the model, or one that it
    started from, was trained or chosen on; and if the audit of its training data allows it.

    The log, registry/events.jsonl, is only appended to, and every event has the digest of the one
    before. registry/production.json names the model in use. Where the model was logged to W&B, the
    alias `production` moves, and the model is linked to the registry that its recipe names; a
    second call tries that again.

    Exit codes: 0 in use; 10 its audit says CAUTION; 20 the gate refused it, or its audit says STOP;
    30 nothing shows that it is fit, or the log was altered; 2 bad usage or input.
    """
    from asr_gate.cli.project import load_project
    from asr_gate.rounds.registry.events import Registry
    from asr_gate.rounds.registry.promote import promote, roll_back
    from asr_gate.rounds.registry.track import tell_wandb
    from asr_gate.tracking import TrackingError

    if rollback == (checkpoint is not None):
        raise click.UsageError("name a checkpoint, or say --rollback")
    log = Registry(registry)
    if checkpoint is None:
        done = roll_back(log, why)
    else:
        done = promote(
            checkpoint,
            log,
            gate=gate_,
            report=report,
            accept_caution=accept_caution,
            why=why,
            labels=tuple(load_project().corpus.rules),
        )
    show(lambda: _print_promotion(done, as_json))
    if not wandb:
        return 0
    try:
        name = tell_wandb(done.production, log.events()[-1])
    except TrackingError as error:
        # Of the model in use: a second --rollback would go back further.
        again = f"asr model promote {done.production.model.checkpoint}"
        click.echo(f"asr: the alias in W&B did not move ({error}); again: {again}", err=True)
        return 0
    if name is not None and not as_json:
        show(lambda: click.echo(f"W&B: {name} has the alias production"))
    return 0


def _print_promotion(done: Promotion, as_json: bool) -> None:
    from asr_gate.corpus.text.plain import plain

    if as_json:
        click.echo(done.production.model_dump_json(indent=1))
        return
    model, before = done.production.model, done.production.predecessor
    already = " already" if done.event is None else ""
    click.echo(plain(f"in use{already}: {model.checkpoint} ({model.sha256[:19]})"))
    if before is not None:
        click.echo(
            plain(f"before: {before.checkpoint}; asr model promote --rollback returns to it")
        )


@command.command(
    "status",
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Example: asr model status --json",
)
@_registry_option
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
@debug_option
def status(registry: Path, as_json: bool) -> int:
    """Show the model in use and every promotion, after checking the log.

    Exit codes: 0 shown; 30 the log was altered; 2 bad usage.
    """
    from asr_gate.rounds.registry.events import Registry, production_of

    events = Registry(registry).events()
    show(lambda: _print_status(production_of(events), events, as_json))
    return 0


def _print_status(found: Production | None, events: Sequence[Event], as_json: bool) -> None:
    import json

    from rich.console import Console

    from asr_gate.cli.tables import show_table
    from asr_gate.corpus.text.plain import plain

    if as_json:
        told = {
            "production": found and found.model_dump(),
            "events": [event.model_dump() for event in events],
        }
        click.echo(json.dumps(told, indent=1, ensure_ascii=False))
        return
    if found is None:
        click.echo("No model is in use.")
        return
    click.echo(plain(f"in use: {found.model.checkpoint} ({found.model.sha256[:19]})"))
    rows = [
        [str(event.number), event.at, event.kind, event.model.checkpoint, event.why]
        for event in events
    ]
    show_table(["", "when", "what", "model", "why"], rows, Console(), left=(1, 2, 3, 4))
