"""`asr eval`."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click
from click_default_group import DefaultGroup

from asr_gate.cli.compare import command as compare
from asr_gate.cli.main import debug_option, show
from asr_gate.cli.options import corpus_options, numbers_option, split_overrides, wandb_options

if TYPE_CHECKING:
    from asr_gate.train.evaluation.result_file import Result


@click.command(
    "run",
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="""\b
    Examples:
      asr eval runs/round2/final corpus/test.jsonl --language he
      asr eval compare evals/round1-final evals/round2-final
    """,
)
@click.argument("checkpoint")
@click.argument("manifests", nargs=-1, required=True, metavar="MANIFEST...")
@corpus_options
@click.option("--language", metavar="CODE", help="Of the rows whose manifest names none.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="FILE|FOLDER",
    help="Result file (.json), or a folder for it; replaced.  [default: a new one under evals/]",
)
@click.option(
    "--batch-seconds",
    type=click.FloatRange(min=0, min_open=True),
    default=60.0,
    show_default=True,
    help="Padded audio in one batch.",
)
@numbers_option
@click.option(
    "--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@wandb_options
@debug_option
def run(
    checkpoint: str,
    manifests: tuple[str, ...],
    audio_root: Path | None,
    split: str | None,
    language: str | None,
    out: Path | None,
    batch_seconds: float,
    numbers: Literal["spoken", "as_written"],
    device: Literal["auto", "cpu", "cuda"],
    as_json: bool,
    tracking: dict[str, Any],
) -> int:
    """Transcribe the rows of manifests with CHECKPOINT and score them: loss, WER, CER, by domain.

    CHECKPOINT is a folder or hub id, in transformers' layout or in the older one. Every transcript
    is written beside the result. wandb.KEY=VALUE among the manifests sets how the evaluation is
    tracked. The word `run` may be left out. `asr eval compare A B` compares two results.

    Exit codes: 0 evaluated, whatever the rates; 2 bad input, or not one row could be evaluated.
    """
    from asr_gate.cli.progress import AuditProgress
    from asr_gate.cli.project import load_project, reading
    from asr_gate.tracking import Tracker, TrackerSettings
    from asr_gate.train.evaluation.evaluate_checkpoint import evaluate_checkpoint
    from asr_gate.train.evaluation.result_file import read_result
    from asr_gate.train.evaluation.track_result import log_result

    manifests, more = split_overrides(manifests)
    if not manifests:
        raise click.UsageError("name a manifest to evaluate on")
    project = load_project()
    source = reading(project, manifests, audio_root, split)
    settings = TrackerSettings.resolve(
        TrackerSettings(run_name=f"eval-{Path(checkpoint).name}", job_type="evaluation"),
        asr_toml=project.tracking.given(),
        **{**more, **tracking},
    )
    Tracker(settings).check()
    with AuditProgress("transcribing", "transcribed") as progress:
        result, path = evaluate_checkpoint(
            checkpoint,
            source.manifests,
            audio_root=source.audio_root,
            split=source.split,
            labels=source.labels,
            language=language or project.corpus.language,
            out=out,
            batch_seconds=batch_seconds,
            numbers=numbers,
            device=device,
            progress=progress,
        )
    board = path.with_name(f"{path.stem}.tensorboard")
    shutil.rmtree(board, ignore_errors=True)  # an earlier result's would be drawn over ours
    with Tracker(settings, tensorboard=board) as tracker:
        tracker.init(config=result.model_dump(mode="json", exclude={"not_evaluated"}))
        log_result(tracker, result, read_result(path)[1], path)
    show(lambda: _print(result, path, as_json))
    return 0


command = debug_option(
    DefaultGroup(
        "eval",
        commands=[run, compare],
        default="run",
        default_if_no_args=True,
        # `asr eval --help` is thus the help of `asr eval run`, which names both commands.
        context_settings={"help_option_names": []},
    )
)


def _print(result: Result, path: Path, as_json: bool) -> None:
    from collections import Counter

    import rich.box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from asr_gate.corpus.text.plain import plain

    if as_json:
        click.echo(result.model_dump_json(indent=2))
        return
    table = Table(box=rich.box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("domain", overflow="fold")
    for heading in ("utterances", "words", "loss", "WER", "CER"):
        table.add_column(heading, justify="right", no_wrap=True)
    for name, rates in (*result.domains.items(), ("overall", result.overall)):
        table.add_row(
            Text(plain(name)),
            str(rates.utterances),
            str(rates.words),
            f"{rates.loss:.3f}",
            f"{100 * rates.wer:.2f} %",
            f"{100 * rates.cer:.2f} %",
        )
    Console().print(table)
    if result.not_evaluated:
        rules = Counter(row.rule for row in result.not_evaluated)
        counted = ", ".join(f"{rule} {count}" for rule, count in sorted(rules.items()))
        click.echo(
            f"not evaluated: {len(result.not_evaluated)} rows ({counted}); the result says why"
        )
    if result.unfinished:
        click.echo(f"cut off: {result.unfinished} transcripts that the model did not end by itself")
    speed = result.audio / max(result.wall, 1e-9)
    click.echo(f"{result.audio:.0f} s of audio in {result.wall:.0f} s ({speed:.1f} x real time)")
    click.echo(plain(f"Result: {path}"))
