"""`asr gate`."""

from __future__ import annotations

from pathlib import Path

import click

from cli.main import debug_option, show


@click.command(
    "gate",
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Example: asr gate reports/phase0 --data corpus/train.jsonl",
)
@click.argument("report", required=False, type=click.Path(path_type=Path))
@click.option(
    "--data",
    multiple=True,
    metavar="MANIFEST",
    help="Check that the report was made for this data; may be given several times.",
)
@click.option("--audio-root", type=click.Path(path_type=Path), help="As given to asr audit.")
@click.option("--split", help="As given to asr audit.")
@click.option("--accept-caution", is_flag=True, help="Let CAUTION pass.")
@click.option("--json", "as_json", is_flag=True, help="Print the verdict as JSON.")
@debug_option
def command(
    report: Path | None,
    data: tuple[str, ...],
    audio_root: Path | None,
    split: str | None,
    accept_caution: bool,
    as_json: bool,
) -> int:
    """Read a report's verdict back as an exit code; REPORT is a file or an audit's folder.

    Without REPORT, the newest under reports/ is read.

    Exit codes: 0 PROCEED, 10 CAUTION not accepted, 20 STOP, 30 no verdict (report missing,
    altered, or for other data).
    """
    import json

    from audit.gate import admit, require_same_data
    from audit.report import check_tables, find_latest, read_report
    from corpus.errors import UserError
    from corpus.text.plain import plain

    verdict: dict[str, object] = {"report": None, "decision": None, "admitted": False}
    try:
        path = report or find_latest(Path("reports"))
        verdict["report"] = str(path)
        found = read_report(path)
        check_tables(found, path if path.is_dir() else path.parent)
        verdict |= {
            "decision": found.decision,
            "reasons": found.reasons,
            "low_quality_percentage": found.low_quality_percentage,
            "digest": found.digest,
            "dataset_fingerprint": found.dataset.fingerprint,
        }
        admit(found, str(path), accept_caution=accept_caution)
        if data:
            from cli.project import manifests_or_default
            from corpus.readers import read_corpus

            names, root, _ = manifests_or_default(data, audio_root)
            corpus = read_corpus(names, audio_root=root, split=split)
            require_same_data(found, str(path), corpus)
    except UserError as error:
        if not as_json:
            raise
        refusal = verdict | {"exit_code": error.exit_code, "error": str(error)}
        show(lambda: click.echo(json.dumps(refusal)))
        return error.exit_code
    if as_json:
        admitted = verdict | {"admitted": True, "exit_code": 0}
        show(lambda: click.echo(json.dumps(admitted)))
    else:
        line = plain(f"{path}: {found.decision}: {'; '.join(found.reasons)}")
        show(lambda: click.echo(line))
    return 0
