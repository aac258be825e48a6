"""`asr eval compare`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from asr_gate.cli.main import debug_option, show
from asr_gate.cli.options import numbers_option, split_overrides, wandb_options

if TYPE_CHECKING:
    from asr_gate.train.evaluation.compare import Comparison


@click.command(
    "compare",
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Example: asr eval compare evals/round1-final evals/round2-final --markdown rounds.md",
)
@click.argument("results", nargs=-1, required=True, metavar="A B [C]...")
@click.option("--json", "as_json", is_flag=True, help="Print the comparison as JSON.")
@click.option(
    "--markdown", type=click.Path(path_type=Path), metavar="FILE", help="Write it as Markdown."
)
@click.option(
    "--csv",
    "csv_file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write every utterance with its transcripts, errors and change as CSV.",
)
@click.option(
    "--confidence",
    type=click.FloatRange(0.5, 0.9999),
    default=0.95,
    show_default=True,
    help="Of the intervals.",
)
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=1,
    show_default=True,
    help="Decides the resamples.",
)
@numbers_option
@wandb_options
@debug_option
def command(
    results: tuple[str, ...],
    as_json: bool,
    markdown: Path | None,
    csv_file: Path | None,
    confidence: float,
    seed: int,
    numbers: Literal["spoken", "as_written"],
    tracking: dict[str, Any],
) -> int:
    """Say where the checkpoints of B, C, … are better or worse than that of A, beyond chance.

    A, B, … are result files of asr eval, or their folders, on the same rows. All are scored again
    and compared with A. Intervals are paired bootstraps over utterances. wandb.KEY=VALUE among the
    results sets how the comparison is tracked.

    Exit codes: 0 WER rose nowhere beyond its interval; 20 it did, overall or in a domain; 30 no
    decision, since both are at 100 % WER or above; 2 bad input, or results on other rows.
    """
    named, more = split_overrides(results)
    if len(named) < 2:
        raise click.UsageError("name two results or more")
    from asr_gate.cli.project import load_project
    from asr_gate.tracking import Tracker, TrackerSettings
    from asr_gate.train.evaluation.compare import compare
    from asr_gate.train.evaluation.compare_table import as_csv
    from asr_gate.train.evaluation.track_comparison import comparison_config, log_comparison
    from asr_gate.train.files import write_file

    settings = TrackerSettings.resolve(
        TrackerSettings(run_name="compare", job_type="comparison"),
        asr_toml=load_project().tracking.given(),
        **{**more, **tracking},
    )
    tracker = Tracker(settings)
    tracker.check()
    paths = [Path(one) for one in named]
    found = compare(paths, confidence=confidence, seed=seed, numbers=numbers)
    if markdown is not None:
        write_file(markdown, "\n".join(one.markdown() for one in found).encode())
    if csv_file is not None:
        write_file(csv_file, as_csv(found))
    with tracker:
        tracker.init(config=comparison_config(found))
        if tracker.active:
            log_comparison(tracker, found)
    show(lambda: _print(found, as_json))
    outcomes = {one.outcome for one in found}
    return 20 if "fail" in outcomes else 30 if "no decision" in outcomes else 0


def _print(found: list[Comparison], as_json: bool) -> None:
    import json

    from rich.console import Console

    from asr_gate.cli.tables import fits, show_table
    from asr_gate.corpus.text.plain import plain
    from asr_gate.train.evaluation.compare import points, rows

    first = found[0]
    if as_json:
        several = {"comparisons": [one.as_dict() for one in found]}
        click.echo(json.dumps(several if len(found) > 1 else first.as_dict(), ensure_ascii=False))
        return
    click.echo(plain(f"A: {first.a}"))
    for one in found:
        click.echo(plain(f"{one.letter}: {one.b}"))
    recorded = [first.recorded[0], *(one.recorded[1] for one in found)]
    if other := {way for way in recorded if way != first.numbers}:
        click.echo(
            f"Scored again with numbers {first.numbers}; a result says its rates with {other.pop()}"
        )
    click.echo("WER and CER in %, changes in percentage points")
    console = Console()
    letters = ["A", *(one.letter for one in found)]
    groups = [rows(one) for one in found]
    order = [*range(1, len(groups[0])), 0]  # `overall` goes last

    def rates(*kinds: Literal["wer", "cer"]) -> tuple[list[str], list[list[str]]]:
        headings = ["domain", "rows", *(f"{kind.upper()} {x}" for kind in kinds for x in letters)]
        lines = []
        for row in order:
            name, group = groups[0][row]
            cells = [name, str(group.utterances)]
            for kind in kinds:
                changes = [getattr(side[row][1], kind) for side in groups]
                cells += [f"{100 * r:.2f}" for r in (changes[0].a, *(c.b for c in changes))]
            lines.append(cells)
        return headings, lines

    both = rates("wer", "cer")
    for headings, lines in [both] if fits(*both, console) else [rates("wer"), rates("cer")]:
        show_table(headings, lines, console)
    lines = []
    marked = []
    for row in order:
        for one, side in zip(found, groups, strict=True):
            name, group = side[row]
            if group.worse:
                marked.append(len(lines))
            better = "" if group.better is None else f"{group.better:.3f}"
            lines.append([name, f"{one.letter} - A", *points(group.wer), better])
    interval = f"{100 * first.confidence:g} %"
    headings = ["domain", "WER of", "points", interval, "P(lower WER)"]
    show_table(headings, lines, console, marked=marked)
    for one in found:
        verdict, *more = one.verdict()
        click.echo(plain(f"{one.letter} against A: {verdict}"))
        for line in more:
            click.echo(plain(f"  {line}"))
