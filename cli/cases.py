"""`asr cases`."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from asr_gate.cli.main import debug_option, show
from asr_gate.cli.options import REPORT, tracker_of, wandb_options
from asr_gate.rounds.cases.case import KINDS, SOURCES, STATUSES

if TYPE_CHECKING:
    from asr_gate.rounds.cases.case import Case
    from asr_gate.rounds.cases.statistics import Statistics
    from asr_gate.rounds.cases.store import Chosen

BAR = 30
"""Columns of the longest bar."""


def _file_option(command: Any) -> Any:
    return click.option(
        "--file",
        type=click.Path(path_type=Path, dir_okay=False),
        default=Path("cases.sqlite3"),
        show_default=True,
        help="File of the cases.",
    )(command)


def _chosen_options(command: Callable[..., int]) -> Any:
    """Options that choose cases; the command gets them as `chosen`."""

    @wraps(command)
    def with_chosen(
        *arguments: Any,
        status: tuple[str, ...],
        source: str | None,
        model: str | None,
        domain: str | None,
        kind: str | None,
        **others: Any,
    ) -> int:
        from asr_gate.rounds.cases.store import Chosen

        chosen = Chosen(status, source, model, domain, kind)  # type: ignore[arg-type]
        return command(*arguments, chosen=chosen, **others)

    for option in (
        click.option("--kind", type=click.Choice(KINDS), help="With an error of this kind."),
        click.option("--domain", help="Of this domain."),
        click.option("--model", help="Of this model: its digest, or how that begins."),
        click.option("--source", type=click.Choice(SOURCES), help="Where they are from."),
        click.option(
            "--status",
            multiple=True,
            type=click.Choice(STATUSES),
            help="With this status; repeat for several.",
        ),
    ):
        with_chosen = option(with_chosen)
    return with_chosen


@click.group("cases", context_settings={"help_option_names": ["-h", "--help"]})
@debug_option
def command() -> None:
    """Collect what models get wrong, note what people say of it, and make data of it.

    \b
    Example:
      asr cases add evals/round2-final
      asr cases stats
      asr cases export --manifest regression/names.jsonl
    """


@command.command(
    "add",
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="""\b
    Examples:
      asr cases add evals/round2-final reports/phase0
      asr cases add calls.jsonl
    """,
)
@click.argument("sources", nargs=-1, required=True, type=REPORT)
@click.option(
    "--audio-root",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="One more folder that audio may lie in, beside the manifest's.",
)
@_file_option
@click.option("--json", "as_json", is_flag=True, help="Print the counts as JSON.")
@debug_option
def add(sources: tuple[Path, ...], audio_root: Path | None, file: Path, as_json: bool) -> int:
    """Add the mistakes of SOURCES.

    A source is a result of asr eval (rows with errors), the folder of an audit (rows with findings
    that count), or a production log: JSON lines with `audio` and `hypothesis`, and, where known,
    `reference`, `model`, `language`, `domain`, `offset`, `duration`, `start`, `end`, `id`, `who`,
    `why`. What is there already stays as it is, so a source may be added again.

    Exit codes: 0 added, 2 bad usage or input, 30 a report was altered.
    """
    from asr_gate.rounds.cases.sources import cases_of
    from asr_gate.rounds.cases.store import CaseStore

    # All are read before anything is written.
    found = {source: cases_of(source, audio_root) for source in sources}
    store = CaseStore(file)
    added = {source: store.add(cases) for source, cases in found.items()}
    if as_json:
        told = [{"source": str(source), **asdict(one)} for source, one in added.items()]
        show(lambda: click.echo(json.dumps(told)))
        return 0

    def lines() -> None:
        from asr_gate.corpus.text.plain import plain

        for source, one in added.items():
            known = f", {one.known} were there" if one.known else ""
            click.echo(plain(f"{source}: {_cases(one.new, 'new ')}{known}"))
        click.echo(plain(f"Cases: {file}"))

    show(lines)
    return 0


def _cases(count: int, which: str = "") -> str:
    return f"1 {which}case" if count == 1 else f"{count} {which}cases"


@command.command(
    "list",
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Example: asr cases list --status open --kind near_sound",
)
@_chosen_options
@click.option("--limit", type=click.IntRange(1), help="Only so many.")
@_file_option
@click.option("--json", "as_json", is_flag=True, help="Print them as JSON, one a line.")
@debug_option
def list_(chosen: Chosen, limit: int | None, file: Path, as_json: bool) -> int:
    """List cases, in the order in which they were added, with their wrong words.

    [-so-] is left out or replaced by {+so+}.
    """
    from asr_gate.rounds.cases.store import CaseStore

    found = CaseStore(file).find(chosen, limit or -1)
    show(lambda: _list(found, as_json))
    return 0


def _list(found: Sequence[Case], as_json: bool) -> None:
    from asr_gate.corpus.text.plain import isolated, plain

    for case in found:
        if as_json:
            click.echo(json.dumps({"key": case.key, **asdict(case)}, ensure_ascii=False))
            continue
        errors = " ".join(
            (f"[-{one.reference}-]" if one.reference else "")
            + (f"{{+{one.hypothesis}+}}" if one.hypothesis else "")
            for one in case.operations
        )
        what = errors or " ".join(case.codes) or case.hypothesis or ""
        row = plain(f"{case.key} {case.status} {case.source} {case.row}")
        click.echo(f"{row}: {isolated(what)}")
    if not as_json:
        click.echo(_cases(len(found)) if found else "No such cases.")


@command.command(
    "stats",
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Example: asr cases stats --model sha256:3f2a --plot errors.png",
)
@_chosen_options
@click.option(
    "--plot",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write the distribution as a picture (.png, .svg).",
)
@_file_option
@click.option("--json", "as_json", is_flag=True, help="Print the counts as JSON.")
@wandb_options
@debug_option
def stats(
    chosen: Chosen, plot: Path | None, file: Path, as_json: bool, tracking: dict[str, Any]
) -> int:
    """Count cases by status, and their errors by kind and domain.

    near_sound and near_spelling are substitutions by a word that sounds or is spelled alike;
    substitution is any other word.
    """
    from asr_gate.rounds.cases import statistics
    from asr_gate.rounds.cases.store import CaseStore

    tracker = tracker_of("cases", tracking)
    found = statistics.statistics(CaseStore(file), chosen)
    if plot is not None:
        statistics.plot(found, plot)
    with tracker:
        tracker.init(config={"cases": {"file": str(file)}})
        statistics.log_statistics(tracker, found)
    show(lambda: _stats(found, as_json))
    return 0


def _stats(found: Statistics, as_json: bool) -> None:
    from rich.console import Console

    from asr_gate.cli.tables import show_table

    if as_json:
        click.echo(json.dumps(found.as_dict(), ensure_ascii=False))
        return
    statuses = ", ".join(f"{count} {status}" for status, count in found.statuses.items() if count)
    click.echo(_cases(found.cases) + (f": {statuses}" if statuses else ""))
    kinds = found.kinds
    total, most = sum(kinds.values()), max(kinds.values())
    if not total:
        click.echo("No errors word by word.")
        return
    click.echo(f"{total} errors")
    width = max(map(len, kinds))
    for kind, count in kinds.items():
        bar = "#" * round(BAR * count / most)
        click.echo(f"  {kind:<{width}}  {bar:<{BAR}}  {count:>6}  {100 * count / total:5.1f} %")
    if len(found.domains) > 1:
        rows = [
            [domain, *(str(counts[kind]) for kind in KINDS)]
            for domain, counts in found.domains.items()
        ]
        show_table(["domain", *KINDS], rows, Console())


@command.command(
    "export",
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="""\b
    Examples:
      asr cases export --status confirmed --manifest regression/names.jsonl
      asr cases export --corrections corrections.jsonl
    """,
)
@_chosen_options
@click.option(
    "--manifest",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write the rows as a manifest (JSON lines), to test or to train on.",
)
@click.option(
    "--corrections",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write what people decided about rows, for asr correct.",
)
@_file_option
@debug_option
def export(chosen: Chosen, manifest: Path | None, corrections: Path | None, file: Path) -> int:
    """Write cases as a manifest, or people's decisions about them as corrections.

    A manifest holds each row once, with the correction if there is one; dropped cases, and those
    without text or audio, are left out. Do not train on the rows of a regression set: asr model
    promote refuses a model that was tested on what it was trained on.

    Exit codes: 0 written, 2 bad usage, or nothing to export.
    """
    from asr_gate.corpus.text.plain import plain
    from asr_gate.rounds.cases.export import as_corrections, as_manifest, require_rows
    from asr_gate.rounds.cases.store import CaseStore
    from asr_gate.train.files import write_file

    if manifest is None and corrections is None:
        raise click.UsageError("say what to write: --manifest FILE or --corrections FILE")
    found = CaseStore(file).find(chosen)
    if manifest is not None:
        made = as_manifest(found, manifest)
        require_rows(made)
        write_file(manifest, made.content)
        left = [(made.no_text, "without text"), (made.no_audio, "without audio")]
        said = "".join(f", {_cases(count)} {what} left out" for count, what in left if count)
        click.echo(plain(f"{manifest}: {made.rows} rows{said}"))
        if made.outside is not None:
            hint = f"its audio lies in {made.outside}: read it with --audio-root {made.outside}"
            click.echo(plain(f"{hint}, or with audio_root in a suite"))
    if corrections is not None:
        content = as_corrections(found)
        write_file(corrections, content)
        click.echo(plain(f"{corrections}: {len(content.splitlines())} corrections"))
    return 0


@command.command(
    "import",
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Example: asr cases import review.jsonl labels.json",
)
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@_file_option
@debug_option
def import_(files: tuple[Path, ...], file: Path) -> int:
    """Note on cases what people decided about their rows.

    FILES are what asr corrections import reads: verdicts (review.jsonl), corrections, Label
    Studio's export, or a table. A new text makes the cases of a row corrected, `keep` or `right`
    confirmed, `drop` dropped. A decision about another text than that of the case is left out.

    Exit codes: 0 noted, 2 bad usage or input, or no decision is about a case.
    """
    from asr_gate.audit.review.as_corrections import read_work
    from asr_gate.corpus.errors import UserError
    from asr_gate.rounds.cases.store import CaseStore

    found = read_work(files)
    counts = CaseStore(file).decide(found)
    if not counts:
        raise UserError(
            f"{', '.join(map(str, files))}: none of {len(found)} corrections is about a case in "
            f"{file}; asr cases list shows the ids of the rows"
        )
    click.echo(", ".join(f"{_cases(count)} {status}" for status, count in counts.items()))
    return 0
