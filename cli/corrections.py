"""`asr corrections`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import click

from asr_gate.cli.main import debug_option, show
from asr_gate.cli.options import REPORT

if TYPE_CHECKING:
    from asr_gate.audit.report.review_row import ToReview

KINDS = {"label-studio": ".json", "csv": ".csv"}


@click.group("corrections", context_settings={"help_option_names": ["-h", "--help"]})
@debug_option
def command() -> None:
    """Let people correct rows elsewhere: in Label Studio, or in a spreadsheet.

    Example: asr corrections export reports/phase0 --out tasks.json
    """


@command.command(
    "export",
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Example: asr corrections export reports/phase0 --limit 200 --out review.csv",
)
@click.argument("report", type=REPORT)
@click.option(
    "--format",
    "kind",
    type=click.Choice([*KINDS]),
    help="Format of the file.  [default: by the suffix of --out, .json or .csv]",
)
@click.option("--limit", type=click.IntRange(1), help="Only so many rows, the worst.")
@click.option(
    "--audio-prefix",
    default="",
    metavar="TEXT",
    help="Stands before the audio's path, as an address that Label Studio serves it from.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write to a file.  [default: standard output]",
)
@debug_option
def export(
    report: Path, kind: str | None, limit: int | None, audio_prefix: str, out: Path | None
) -> int:
    """Export the rows that people are to look at, the worst first.

    REPORT is a report or an audit's folder: its rows are those with findings, each with the text
    that the audit proposes, if it proposes one. Or it is a result of asr eval: its rows are those
    with errors, each with what the model wrote.

    JSON holds tasks for Label Studio (docs/corrections.md has the labelling configuration); CSV
    opens in a spreadsheet: people fill in the columns from `verdict` on.

    Exit codes: 0 exported, 2 bad usage, 30 the report or its tables are missing or were altered.
    """
    from asr_gate.corpus.files import write_atomically

    if kind is None:
        endings = {ending: name for name, ending in KINDS.items()}
        kind = endings.get(out.suffix.lower()) if out else "csv"
        if kind is None:
            raise click.UsageError(f"{out}: end the name in .json or .csv, or say --format")
    rows = _rows(report)[:limit]
    content = _tasks(rows, audio_prefix) if kind == "label-studio" else _table(rows, audio_prefix)
    if out is None:
        show(lambda: click.echo(content.decode(), nl=False))
        return 0
    out.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(out, content)
    back = "EXPORT.json" if kind == "label-studio" else str(out)
    click.echo(f"{out}: {len(rows)} rows")
    click.echo(f"\nNext, when people are done:\n  asr correct --corrections {back} --dry-run")
    return 0


@command.command(
    "import",
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Example: asr corrections import export.json --out corrections.jsonl",
)
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write to a file.  [default: standard output]",
)
@debug_option
def import_work(files: tuple[Path, ...], out: Path | None) -> int:
    """Read what people did as corrections, one JSON object a line.

    FILE is Label Studio's export as JSON, a table of asr corrections export that people filled in,
    verdicts (review.jsonl), or corrections.

    Exit codes: 0 imported, 2 bad usage or input.
    """
    from asr_gate.audit.review.as_corrections import read_work
    from asr_gate.corpus.errors import UserError
    from asr_gate.corpus.files import write_atomically

    if out is not None and out.resolve() in {file.resolve() for file in files}:
        raise UserError(f"{out}: is what is read; name another file with --out")
    found = read_work(files)
    content = "".join(one.model_dump_json() + "\n" for one in found)
    if out is None:
        show(lambda: click.echo(content, nl=False))
        return 0
    out.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(out, content.encode())
    click.echo(f"{out}: {len(found)} corrections of {len({one.id for one in found})} rows")
    return 0


def _rows(path: Path) -> list[ToReview]:
    from asr_gate.audit.records.report import REPORT_FILE
    from asr_gate.audit.review.to_review import to_review

    name = path.name if path.is_file() else ""
    folder_of_result = path.is_dir() and not (path / REPORT_FILE).exists()
    if name.startswith("result") or (folder_of_result and (path / "result.json").is_file()):
        from asr_gate.train.evaluation.worst_rows import worst_rows

        return worst_rows(path)
    from asr_gate.audit.gate.tables import load

    return to_review(load(path))


def _table(rows: Sequence[ToReview], prefix: str) -> bytes:
    from asr_gate.corpus.review_table import table

    return table(
        {
            "id": row.id,
            "origin": row.origin,
            "audio": f"{prefix}{row.audio}",
            "text": row.text,
            "proposed": row.proposed or "",
            "confidence": "" if row.confidence is None else f"{row.confidence:.2f}",
            "codes": " ".join(row.codes),
            "spans": " ".join(f"{start:.2f}-{end:.2f}" for start, end in row.spans),
            "source": row.source,
        }
        for row in rows
    )


def _tasks(rows: Sequence[ToReview], prefix: str) -> bytes:
    from asr_gate.corpus.label_studio import task

    tasks = [
        task(
            {
                "id": row.id,
                "origin": row.origin,
                "audio": f"{prefix}{row.audio}",
                "text": row.text,
                "offset": row.offset,
                "duration": row.duration,
                "language": row.language,
                "codes": " ".join(row.codes),
                "source": row.source,
            },
            row.proposed or row.text,
            [(row.offset + start, row.offset + end) for start, end in row.spans],
            f"asr-gate {version('asr-gate')}",
            row.confidence,
        )
        for row in rows
    ]
    return json.dumps(tasks, ensure_ascii=False, indent=1).encode() + b"\n"
