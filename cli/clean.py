"""`asr clean`."""

from __future__ import annotations

from pathlib import Path

import click

from asr_gate.cli.main import debug_option, show
from asr_gate.cli.options import corpus_options
from asr_gate.cli.project import FILE, manifests_or_default


@click.command(
    "clean",
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Example: asr clean reports/phase0 --data corpus/train.jsonl",
)
@click.argument("report", required=False, type=click.Path(path_type=Path))
@click.option(
    "--data",
    multiple=True,
    metavar="MANIFEST",
    help="What was audited; may be given several times.  [default: the corpus of asr.toml]",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="FILE|FOLDER",
    help="Where to write; for several manifests, a folder.  [default: beside each, train.clean…]",
)
@corpus_options
@click.option("--json", "as_json", is_flag=True, help="Print what was written as JSON.")
@debug_option
def command(
    report: Path | None,
    data: tuple[str, ...],
    out: Path | None,
    audio_root: Path | None,
    split: str | None,
    as_json: bool,
) -> int:
    """Write the audited manifests less what the audit condemned, in the format that they came in.

    REPORT is a report or an audit's folder; without it, the newest under reports/ is read. It must
    be for this very data. What is dropped is of low quality or could not be audited; a ledger
    beside each manifest, OUT.ledger.jsonl, says why. Rows that the audit did not hear are kept.

    Exit codes: 0 written, whatever the verdict; 30 no verdict (report missing, altered, or for
    other data).
    """
    import json

    from asr_gate.audit.clean import condemned_rows
    from asr_gate.audit.gate import require_same_data
    from asr_gate.audit.report import check_tables, find_latest, read_report
    from asr_gate.corpus.read import read_corpus
    from asr_gate.corpus.text.plain import plain
    from asr_gate.corpus.write import write_without

    if not data and not FILE.exists():
        raise click.UsageError("name what was audited with --data MANIFEST")
    path = report or find_latest(Path("reports"))
    folder = path if path.is_dir() else path.parent
    found = read_report(path)
    check_tables(found, folder)
    names, root, _ = manifests_or_default(data, audio_root)
    corpus = read_corpus(names, audio_root=root, split=split)
    require_same_data(found, str(path), corpus, folder)
    dropped = condemned_rows(found, str(path), folder)
    written = write_without(corpus, dropped, out=out, audio_root=root, split=split)
    unheard = found.dataset.utterances - found.total_samples

    def summary() -> None:
        if as_json:
            rows = [
                {
                    "manifest": one.manifest,
                    "path": str(one.path),
                    "ledger": str(one.ledger),
                    "kept": one.kept,
                    "dropped": one.dropped,
                }
                for one in written
            ]
            told = {"report": str(path), "digest": found.digest, "not_heard": unheard}
            click.echo(json.dumps(told | {"written": rows}))
            return
        for one in written:
            why = f"; {one.ledger} says why" if one.dropped else ""
            click.echo(plain(f"{one.path}: {one.kept} rows kept, {one.dropped} dropped{why}"))
        if unheard:
            click.echo(
                f"{unheard} of the kept rows were not heard: the audit sampled "
                f"{found.total_samples}; asr audit --all hears every row"
            )

    show(summary)
    return 0
