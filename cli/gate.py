"""`asr gate`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from asr_gate.cli.main import debug_option, show
from asr_gate.cli.options import corpus_options, trust_options

if TYPE_CHECKING:
    from asr_gate.audit.records.report import Report


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
@corpus_options
@click.option("--accept-caution", is_flag=True, help="Let CAUTION pass.")
@trust_options
@click.option("--json", "as_json", is_flag=True, help="Print the verdict as JSON.")
@click.option("--sarif", type=click.Path(path_type=Path), help="Write the findings as SARIF.")
@click.option("--junit", type=click.Path(path_type=Path), help="Write them as JUnit XML.")
@click.option(
    "--github",
    is_flag=True,
    help="In GitHub Actions: annotations, and the step's summary and outputs.",
)
@debug_option
def command(
    report: Path | None,
    data: tuple[str, ...],
    audio_root: Path | None,
    split: str | None,
    accept_caution: bool,
    policy: Path | None,
    verify_key: Path | None,
    as_json: bool,
    sarif: Path | None,
    junit: Path | None,
    github: bool,
) -> int:
    """Check a report and give its decision as the exit code.

    REPORT is a report or the folder of an audit; by default the newest under reports/
    of these manifests.

    Exit codes: 0 PROCEED, 10 CAUTION not accepted, 20 STOP, 30 no verdict (the report is
    missing, altered, too old, not signed, or for other data). SARIF, JUnit and annotations are
    written whatever the decision.
    """
    from asr_gate.audit.gate import authorise, find_latest, same_manifests, verify
    from asr_gate.audit.policy import load_policy
    from asr_gate.cli.ci import Outputs
    from asr_gate.cli.project import load_project
    from asr_gate.corpus.errors import UserError
    from asr_gate.corpus.text.plain import plain

    verdict: dict[str, object] = {"report": None, "decision": None, "admitted": False}
    outputs = Outputs(sarif, junit, github, as_json, verify_key is not None)
    path = report or Path("reports")
    rows: int | None = None
    deciding: Report | None = None  # while it is the report itself that may hold training
    try:
        if report is None:
            project = load_project()
            path = project.output.reports
            path = find_latest(path, data or project.corpus.manifests)
        verdict["report"] = str(path)
        asked = load_policy(policy) if policy else None
        found = verify(path, str(path), policy=asked, verify_key=verify_key)
        verdict |= {
            "decision": found.decision,
            "reasons": found.reasons,
            "low_quality_percentage": found.low_quality_percentage,
            "digest": found.digest,
            "signed": verify_key is not None,
            "dataset_fingerprint": found.dataset.fingerprint,
        }
        # A report that nobody named may be about something else, and then decides nothing here.
        doubtful = report is None and not same_manifests(found.dataset.manifests, data)
        if data and doubtful:
            rows = _rows_of_same_data(found, path, data, audio_root, split)
        deciding = found
        authorise(found, str(path), accept_caution=accept_caution)
        deciding = None
        if data and not doubtful:
            rows = _rows_of_same_data(found, path, data, audio_root, split)
        verdict["rows"] = rows
    except UserError as error:
        outputs.write(deciding, str(error), path, data)
        if as_json:
            refusal = verdict | {"exit_code": error.exit_code, "error": str(error)}
            show(lambda: click.echo(_json(refusal)))
        elif not github:  # there the annotation says it
            raise
        return error.exit_code
    outputs.write(found, None, path, data)
    if as_json:
        admitted = verdict | {"admitted": True, "exit_code": 0}
        show(lambda: click.echo(_json(admitted)))
    elif not github:
        origin = "unsigned" if verify_key is None else "signed"
        if rows is not None and rows < found.dataset.utterances:
            origin += f", for {rows} of its {found.dataset.utterances} rows"
        line = plain(f"{path}: {found.decision} ({origin}): {'; '.join(found.reasons)}")
        show(lambda: click.echo(line))
    return 0


def _rows_of_same_data(
    report: Report, path: Path, data: tuple[str, ...], audio_root: Path | None, split: str | None
) -> int:
    """The number of rows, all of which the report is about.

    Raises:
        UserError: a manifest cannot be read, or the report is about other data.
    """
    from asr_gate.audit.gate import require_same_data
    from asr_gate.cli.project import load_project, reading

    source = reading(load_project(), data, audio_root, split)
    corpus = replace(source, split=source.split or report.dataset.split).read()
    folder = path if path.is_dir() else path.parent
    require_same_data(report, str(path), corpus, folder, part=True)
    return len(corpus.utterances)


def _json(verdict: dict[str, object]) -> str:
    """One line; GitHub obeys `##[…]` anywhere in a line, and JSON can spell it otherwise."""
    import json

    return json.dumps(verdict).replace("##[", "#\\u0023[")
