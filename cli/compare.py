"""`asr eval compare`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from asr_gate.cli.main import debug_option, show

if TYPE_CHECKING:
    from asr_gate.train.evaluation.compare import Comparison


@click.command(
    "compare",
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Example: asr eval compare evals/round1-final evals/round2-final --markdown rounds.md",
)
@click.argument("a", type=click.Path(path_type=Path))
@click.argument("b", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print the comparison as JSON.")
@click.option(
    "--markdown", type=click.Path(path_type=Path), metavar="FILE", help="Write it as Markdown."
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
@debug_option
def command(
    a: Path, b: Path, as_json: bool, markdown: Path | None, confidence: float, seed: int
) -> int:
    """Say where the checkpoint of B is better or worse than that of A, by more than chance.

    A and B are result files of asr eval, or their folders, on the same rows. Intervals are paired
    bootstraps over utterances.

    Exit codes: 0 WER rose nowhere beyond its interval; 20 it did, overall or in a domain; 2 bad
    input, or results on other rows.
    """
    from asr_gate.train.evaluation.compare import compare
    from asr_gate.train.files import write_file

    found = compare(a, b, confidence=confidence, seed=seed)
    if markdown is not None:
        write_file(markdown, found.markdown().encode())
    show(lambda: _print(found, as_json))
    return 20 if found.worse else 0


def _print(found: Comparison, as_json: bool) -> None:
    import json

    import rich.box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from asr_gate.corpus.text.plain import plain
    from asr_gate.train.evaluation.compare import points, rows

    if as_json:
        click.echo(json.dumps(found.as_dict(), ensure_ascii=False))
        return
    click.echo(plain(f"A: {found.a}"))
    click.echo(plain(f"B: {found.b}"))
    table = Table(box=rich.box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("domain", overflow="fold", min_width=14)
    interval = f"{100 * found.confidence:g} %"
    for heading in ("rows", "WER A", "WER B", "change", interval, "CER A", "CER B"):
        table.add_column(heading, justify="right", no_wrap=True)
    overall, *domains = rows(found)
    for name, group in (*domains, overall):
        wer, cer = group.wer, group.cer
        table.add_row(
            Text(plain(name)),
            str(group.utterances),
            f"{100 * wer.a:.2f}",
            f"{100 * wer.b:.2f}",
            *points(wer),
            f"{100 * cer.a:.2f}",
            f"{100 * cer.b:.2f}",
            style="bold red" if group.worse else "",
        )
    Console().print(table)
    click.echo(plain(found.verdict()))
