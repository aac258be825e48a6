"""`asr model`."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from asr_gate.cli.main import debug_option, show
from asr_gate.cli.options import wandb_options

if TYPE_CHECKING:
    from asr_gate.rounds.model_gate.result import GateResult

EXIT_CODES = {"pass": 0, "fail": 20, "no decision": 30}


@click.group("model", context_settings={"help_option_names": ["-h", "--help"]})
@debug_option
def command() -> None:
    """Decide whether a model is better than another one.

    \b
    Example:
      asr model gate runs/round2/final --against runs/round1/final --suite suite.toml
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
        gated = gate_model(candidate, against, loaded, evaluate, tuple(project.corpus.rules))
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
