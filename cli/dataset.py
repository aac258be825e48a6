"""`asr dataset`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from asr_gate.cli.main import debug_option, show
from asr_gate.cli.options import corpus_options, split_overrides, tracker_of, wandb_options

if TYPE_CHECKING:
    from asr_gate.corpus.datasets import DatasetVersion


@click.group("dataset", context_settings={"help_option_names": ["-h", "--help"]})
@debug_option
def command() -> None:
    """Note what a dataset is now, so that later runs can say which version they used.

    \b
    Example:
      asr dataset add corpus/train.jsonl --name calls
      asr dataset list
    """


@command.command(
    "add",
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Example: asr dataset add corpus/train.jsonl corpus/test.jsonl --name calls",
)
@click.argument("manifests", nargs=-1, metavar="[MANIFEST]...")
@click.option("--name", required=True, help="Of the dataset.")
@corpus_options
@click.option(
    "--cases",
    type=click.Path(path_type=Path),
    default=Path("cases.sqlite3"),
    show_default=True,
    help="File of the cases whose errors are counted, where it is there.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the version as JSON.")
@wandb_options
@debug_option
def add(
    manifests: tuple[str, ...],
    name: str,
    audio_root: Path | None,
    split: str | None,
    cases: Path,
    as_json: bool,
    tracking: dict[str, Any],
) -> int:
    """Write datasets/NAME/vN.json: fingerprint, rows, splits, domains, known errors by kind.

    Without MANIFEST it is the corpus of asr.toml. If nothing changed since the last version, there
    is no new one. With W&B the version is an artifact of type `dataset`, and later trainings and
    evaluations of the same rows, started from this folder, name it as an input.

    Exit codes: 0 written or unchanged, 2 bad usage or input.
    """
    from asr_gate.cli.project import load_project, reading
    from asr_gate.rounds.cases.dataset import note_dataset

    manifests, more = split_overrides(manifests)
    tracker = tracker_of("dataset", {**more, **tracking}, name=f"dataset-{name}")
    tracker.check()
    corpus = reading(load_project(), manifests, audio_root, split).read()
    made, new = note_dataset(name, corpus, cases, tracker)
    show(lambda: _print([made], as_json))
    if not new and not as_json:
        click.echo("nothing changed since this version")
    return 0


@command.command(
    "list",
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Example: asr dataset list calls",
)
@click.argument("name", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print them as JSON.")
@debug_option
def list_(name: str | None, as_json: bool) -> int:
    """List the versions of all datasets, or of one."""
    from asr_gate.corpus.datasets import versions

    found = versions(name)
    show(lambda: _print(found, as_json))
    return 0


def _print(found: Sequence[DatasetVersion], as_json: bool) -> None:
    import json

    from rich.console import Console

    from asr_gate.cli.tables import show_table

    if as_json:
        click.echo(json.dumps([one.model_dump() for one in found], indent=1, ensure_ascii=False))
        return
    if not found:
        click.echo("No versions; make one with: asr dataset add MANIFEST --name NAME")
        return
    rows = [
        [
            f"{one.name} v{one.number}",
            str(one.rows),
            "" if one.hours is None else f"{one.hours:.2f}",
            ", ".join(f"{split} {count}" for split, count in one.splits.items()),
            str(sum(one.errors.values())),
            one.fingerprint[7:19],
        ]
        for one in found
    ]
    headings = ["version", "rows", "hours", "splits", "errors", "fingerprint"]
    show_table(headings, rows, Console(), left=(3, 5))
