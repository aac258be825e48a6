"""`asr clean`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click

from asr_gate.cli.main import debug_option, show
from asr_gate.cli.options import corpus_options
from asr_gate.cli.project import FILE, load_project, reading


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
    help="The audited manifest; repeat for several.  [default: the corpus of asr.toml]",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="FILE|FOLDER",
    help="Where to write; a folder for several manifests.  [default: train.clean.jsonl beside it]",
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
    """Write a copy of the audited manifests without the rows that the audit excluded.

    REPORT is a report or the folder of an audit; by default the newest under reports/. It must have
    been made for exactly this data.

    Each copy has the format of its manifest. Left out are the utterances of low quality and those
    that could not be audited. Rows that the audit did not sample stay. A file beside each copy,
    OUT.dropped.jsonl, lists what was left out, and why.

    Exit codes: 0 written, even if the verdict is STOP; 30 no verdict (the report is missing,
    altered, or for other data); 2 bad usage or input.
    """
    import json

    from asr_gate.audit.gate import (
        check_tables,
        find_latest,
        read_report,
        require_same_data,
        rows_to_drop,
    )
    from asr_gate.corpus.text.plain import plain
    from asr_gate.corpus.write import write_without

    project = load_project()
    if not data and not project.corpus.manifests:
        raise click.UsageError(
            f"name the audited manifest with --data MANIFEST, or as corpus.manifests of {FILE}"
        )
    source = reading(project, data, audio_root, split)
    path = report or find_latest(project.output.reports, source.manifests)
    folder = path if path.is_dir() else path.parent
    found = read_report(path)
    check_tables(found, folder)
    source = replace(source, split=source.split or found.dataset.split)
    corpus = source.read()
    require_same_data(found, str(path), corpus, folder)
    dropped = rows_to_drop(found, str(path))
    written = write_without(
        corpus,
        dropped,
        out=out,
        audio_root=source.audio_root,
        split=source.split,
        labels=source.labels,
    )
    unsampled = found.dataset.utterances - found.total_samples

    def summary() -> None:
        if as_json:
            rows = [
                {
                    "manifest": one.manifest,
                    "path": str(one.path),
                    "drop_log": str(one.drop_log),
                    "kept": one.kept,
                    "dropped": one.dropped,
                }
                for one in written
            ]
            told = {"report": str(path), "digest": found.digest, "not_sampled": unsampled}
            click.echo(json.dumps(told | {"written": rows}))
            return
        for one in written:
            why = f"; see {one.drop_log}" if one.dropped else ""
            click.echo(plain(f"{one.path}: {one.kept} rows kept, {one.dropped} dropped{why}"))
        named = [one for one in written if one.manifest in project.corpus.manifests]
        if named:
            click.echo(
                plain(
                    f"{FILE} still names {', '.join(one.manifest for one in named)}: to train on "
                    f"what was written, put {', '.join(str(one.path) for one in named)} there, and "
                    "audit it"
                )
            )
        if unsampled:
            click.echo(
                f"{unsampled} of the kept rows were not audited: the audit sampled "
                f"{found.total_samples}; asr audit --all audits every row"
            )

    show(summary)
    return 0
