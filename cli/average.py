"""`asr train average`."""

from __future__ import annotations

from pathlib import Path

import click

from asr_gate.cli.main import debug_option


@click.command(
    "average",
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Example: asr train average runs/round2 --best 3",
)
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "--best",
    type=click.IntRange(min=2),
    default=3,
    show_default=True,
    help="How many checkpoints, by WER on the run's held-out rows.",
)
@click.option(
    "--out", type=click.Path(path_type=Path), help="Folder of the model.  [default: RUN/average]"
)
@debug_option
def command(run: Path, best: int, out: Path | None) -> int:
    """Write the mean of the weights of a run's best checkpoints, as a model of its own.

    RUN is a folder of asr train.
    """
    from asr_gate.corpus.text.plain import plain
    from asr_gate.train.evaluation.average import average

    made = average(run, best=best, out=out)
    for one in made.averaged:
        click.echo(f"{one.name}: WER {100 * one.wer:.2f} %")
    for one in made.deleted:
        click.echo(f"{one.name}: WER {100 * one.wer:.2f} %, better, but no longer on disk")
    click.echo(plain(f"Model: {made.folder}"))
    click.echo(plain(f"Whether it is better: asr eval {made.folder} MANIFEST"))
    return 0
