"""`asr train`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, NoReturn

import click
from click_default_group import DefaultGroup

from asr_gate.cli.average import command as average
from asr_gate.cli.main import debug_option
from asr_gate.cli.options import WithOverrides, corpus_options, trust_options, wandb_options
from asr_gate.cli.project import load_project, reading


@click.command(
    "run",
    cls=WithOverrides,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="""\b
    Examples:
      asr train round2 --data corpus/train.jsonl --report reports/phase0 optimizer.accumulate=4
      asr train round2 data.validation=[dev.jsonl] data.test=[test.jsonl]
      asr train average runs/round2 --best 3
    """,
)
@click.argument("recipe")
@click.argument("overrides", nargs=-1, metavar="[KEY=VALUE]...")
@click.option(
    "--data",
    multiple=True,
    metavar="MANIFEST",
    help="Manifest to train on, the same that was audited; may be given several times.",
)
@corpus_options
@click.option(
    "--report",
    metavar="PATH",
    help="A report, its folder, or wandb:ENTITY/PROJECT/NAME:ALIAS.  [default: the data's latest]",
)
@click.option("--accept-caution", is_flag=True, help="Train although the report says CAUTION.")
@click.option("--accept-leaks", is_flag=True, help="Train although rows stand in several splits.")
@trust_options
@click.option("--dry-run", is_flag=True, help="Show what would be trained, and stop.")
@click.option("--resume", is_flag=True, help="Continue a run that was stopped or killed.")
@click.option(
    "--out", type=click.Path(path_type=Path), help="Folder of the run.  [default: runs/RECIPE]"
)
@click.option(
    "--processes",
    type=click.IntRange(min=1),
    metavar="N",
    help="How many train together.  [default: one for each GPU, on a CPU 1]",
)
@click.option("--profile", is_flag=True, help="Trace a few steps, and say where their time goes.")
@wandb_options
@debug_option
def run(
    recipe: str,
    overrides: tuple[str, ...],
    data: tuple[str, ...],
    audio_root: Path | None,
    split: str | None,
    report: str | None,
    accept_caution: bool,
    accept_leaks: bool,
    policy: Path | None,
    verify_key: Path | None,
    dry_run: bool,
    resume: bool,
    out: Path | None,
    processes: int | None,
    profile: bool,
    tracking: dict[str, Any],
) -> int:
    """Train by RECIPE if a verified report allows it, or refuse before any model is loaded.

    RECIPE is round1, round2, full, lora, projector-only, whisper-small, whisper-large-v3-turbo,
    ctc, ctc-embedded (English, in minutes on a CPU), round2-tiny (a small random model, for a CPU),
    or a YAML file; KEY=VALUE, or --KEY=VALUE as W&B's agents say it, overrides any key of it. The
    word `run` may be left out.

    Single numbers for what a recipe keeps in groups: learning_rate (a factor of all rates), epochs,
    batch_seconds, accumulate, warmup, weight_decay, dropout.

    `asr train average RUN` averages the best checkpoints of a run.

    Where there are several GPUs, one process for each is started; none is if torchrun, accelerate
    or srun has done it. SIGTERM saves the state and ends with exit code 0; --resume goes on.

    Exit codes: 10 CAUTION not accepted, 20 STOP, 30 no verdict for this data, 2 bad input.
    """
    from rich.console import Console

    from asr_gate.train import launch
    from asr_gate.train.distributed import ranks
    from asr_gate.train.run import ProjectSettings
    from asr_gate.train.run import run as train

    def start(count: int) -> NoReturn:
        sys.exit(launch.start(count, sys.argv[1:]))

    launch.join()
    project = load_project()
    source = reading(project, data, audio_root, split)
    console = Console()
    main = ranks().main  # of several processes the first one speaks
    if source.said and main and not launch.started():
        click.echo(source.said)
    result = train(
        recipe,
        data=source.manifests,
        audio_root=source.audio_root,
        split=split,
        report=report,
        accept_caution=accept_caution,
        accept_leaks=accept_leaks,
        policy=policy,
        verify_key=verify_key,
        dry_run=dry_run,
        resume=resume,
        overrides=overrides,
        out=out,
        tracking=tracking,
        project=ProjectSettings(
            labels=source.labels,
            language=project.corpus.language,
            reports=project.output.reports,
            runs=project.output.runs,
            tracking=project.tracking.given(),
        ),
        profile=profile,
        console=console,
        processes=processes,
        start=start,
    )
    if not main:
        return 0
    if result.stopped is not None:
        click.echo(f"Stopped after step {result.stopped}; go on with the same command and --resume")
    elif result.final is not None and console is not None:
        click.echo(f"Model: {result.final}")
    return 0


command = debug_option(
    DefaultGroup(
        "train",
        commands=[run, average],
        default="run",
        default_if_no_args=True,
        # `asr train --help` is thus the help of `asr train run`, which names both commands.
        context_settings={"help_option_names": []},
    )
)
