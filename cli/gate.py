"""`asr gate`."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
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
    epilog="""\b
    Examples:
      asr gate reports/phase0 --data corpus/train.jsonl
      asr gate wandb:TEAM/PROJECT/phase0-audit-report:latest --verify-key release.pub
    """,
)
@click.argument("report", required=False)
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
    report: str | None,
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

    REPORT is a report or the folder of an audit, also at s3:// and the like, or
    wandb:ENTITY/PROJECT/NAME:ALIAS; by default the newest under reports/ of these manifests.

    Exit codes: 0 PROCEED, 10 CAUTION not accepted, 20 STOP, 30 no verdict (the report is
    missing, altered, too old, not signed, or for other data), 2 W&B does not answer. SARIF,
    JUnit and annotations are written whatever the decision.
    """
    from asr_gate.audit.gate import authorise, same_manifests, verify
    from asr_gate.audit.policy import load_policy
    from asr_gate.cli.ci import Outputs
    from asr_gate.corpus.errors import UserError
    from asr_gate.corpus.text.plain import plain

    verdict: dict[str, object] = {"report": None, "decision": None, "admitted": False}
    outputs = Outputs(sarif, junit, github, as_json, verify_key is not None)
    name = report or "reports"
    rows: int | None = None
    deciding: Report | None = None  # while it is the report itself that may hold training
    try:
        name = _named(report) if report else _newest(data)
        verdict["report"] = name
        asked = load_policy(policy) if policy else None
        with _file(name) as path:
            found = verify(path, name, policy=asked, verify_key=verify_key)
            verdict |= {
                "decision": found.decision,
                "reasons": found.reasons,
                "low_quality_percentage": found.low_quality_percentage,
                "digest": found.digest,
                "signed": verify_key is not None,
                "dataset_fingerprint": found.dataset.fingerprint,
            }
            # A report that nobody named may be about something else, and decides nothing then.
            doubtful = report is None and not same_manifests(found.dataset.manifests, data)
            if data and doubtful:
                rows = _rows_of_same_data(found, path, name, data, audio_root, split)
            deciding = found
            authorise(found, name, accept_caution=accept_caution)
            deciding = None
            if data and not doubtful:
                rows = _rows_of_same_data(found, path, name, data, audio_root, split)
        verdict["rows"] = rows
    except UserError as error:
        outputs.write(deciding, str(error), Path(name), data)
        if as_json:
            refusal = verdict | {"exit_code": error.exit_code, "error": str(error)}
            show(lambda: click.echo(_json(refusal)))
        elif not github:  # there the annotation says it
            raise
        return error.exit_code
    outputs.write(found, None, Path(name), data)
    if as_json:
        admitted = verdict | {"admitted": True, "exit_code": 0}
        show(lambda: click.echo(_json(admitted)))
    elif not github:
        origin = "unsigned" if verify_key is None else "signed"
        if rows is not None and rows < found.dataset.utterances:
            origin += f", for {rows} of its {found.dataset.utterances} rows"
        line = plain(f"{name}: {found.decision} ({origin}): {'; '.join(found.reasons)}")
        show(lambda: click.echo(line))
    return 0


def _newest(data: tuple[str, ...]) -> str:
    """The newest report of these manifests, or else of the project's."""
    from asr_gate.audit.gate import find_latest
    from asr_gate.cli.project import load_project

    project = load_project()
    return str(find_latest(project.output.reports, data or project.corpus.manifests))


def _named(report: str) -> str:
    """The report as messages name it."""
    from asr_gate.audit.gate import WANDB
    from asr_gate.corpus.storage import url_of

    return report if report.startswith(WANDB) else url_of(report) or str(Path(report))


def _file(name: str) -> AbstractContextManager[Path]:
    """The report's file or folder; one on W&B or in a store is downloaded."""
    from asr_gate.audit.gate import WANDB, downloaded
    from asr_gate.audit.gate.remote import on_disk

    return downloaded(name) if name.startswith(WANDB) else nullcontext(on_disk(name))


def _rows_of_same_data(
    report: Report,
    path: Path,
    name: str,
    data: tuple[str, ...],
    audio_root: Path | None,
    split: str | None,
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
    require_same_data(report, name, corpus, folder, part=True)
    return len(corpus.utterances)


def _json(verdict: dict[str, object]) -> str:
    """One line; GitHub obeys `##[…]` anywhere in a line, and JSON can spell it otherwise."""
    import json

    return json.dumps(verdict).replace("##[", "#\\u0023[")
