"""`asr clean --all-rows`: the audit of what the sample left out."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

from asr_gate.cli.main import one_interrupt

if TYPE_CHECKING:
    from asr_gate.audit.pipeline import Interrupted
    from asr_gate.audit.records.report import Report
    from asr_gate.corpus.utterance import Corpus


def audit_all_rows(
    report: Report, folder: Path, corpus: Corpus, others: Sequence[str], options: Sequence[str]
) -> Path:
    """Audit all rows as a report's sample was audited; an audit that was interrupted goes on.

    The new audit plants its own controls, and so has thresholds of its own.

    Args:
        report: of a sample of this corpus.
        folder: of its audit.
        corpus: all rows.
        others: the manifests, as later commands name them.
        options: to read them with.

    Returns:
        The folder of the full audit: NAME-all beside that of the sample. If it is there already,
        for the same data, aligner and policy, nothing is measured again.

    Raises:
        UserError: the aligner cannot be named, or the audit cannot be made.
        NoVerdict: the report's policy cannot be read.
    """
    from asr_gate.audit.gate.leaks import policy_of
    from asr_gate.audit.gate.tables import AuditReport
    from asr_gate.audit.pipeline import Interrupted, Settings, audit
    from asr_gate.audit.records.report import REPORT_FILE
    from asr_gate.audit.report.next_steps import NO_LANGUAGE, Data, aligner_spec, audit_again
    from asr_gate.audit.review.page_file import write_page
    from asr_gate.cli.progress import AuditProgress
    from asr_gate.corpus.errors import UserError

    name = f"{folder.resolve().name}-all"
    new = folder.parent / name
    if _is_full(new, report):
        click.echo(f"all rows were audited before: {new}", err=True)
        return new
    data = Data(others, options)
    if aligner_spec(report).endswith(":FOLDER"):
        again = audit_again(report, data, everything=True, name=name)
        raise UserError(
            f"{folder}: the report does not say where its aligner lies; run {again} and clean by "
            f"{new}"
        )
    language = report.aligner.language
    precision = report.aligner.precision
    policy = policy_of(report, str(folder))
    settings = Settings(
        name=name,
        out=folder.parent,
        aligner=report.aligner.name,
        language=None if language in NO_LANGUAGE else language,
        policy=policy,
        fraction=1.0,
        seed=report.sampling.seed,
        resume=True,
        device="auto",
        batch_seconds=60.0,
        precision="auto" if precision == "float16" else precision,
        texts=tuple(corpus.placed(one.file) for one in report.pairing.files),
    )
    with one_interrupt():
        try:
            with AuditProgress() as progress:
                unheard = report.dataset.utterances - report.total_samples
                progress.say(f"hears the {unheard} rows that the sample left out, into {new}")
                audit(
                    corpus,
                    settings,
                    progress,
                    lambda report: write_page(
                        AuditReport(new / REPORT_FILE, report), corpus, policy.report, data
                    ),
                )
        except Interrupted as interrupt:
            end_interrupted(interrupt, "the same command goes on")
    return new


def end_interrupted(interrupt: Interrupted, how: str) -> NoReturn:
    """End the process after Ctrl-C, saying what is kept and how to go on."""
    click.echo(f"\nasr: interrupted: {interrupt}; {how}", err=True)
    sys.stdout.flush()
    sys.stderr.flush()
    # Python's own exit would wait for the alignments under way: minutes for an hour of speech.
    os._exit(130)


def _is_full(folder: Path, sample: Report) -> bool:
    """Whether an audit of all rows is there that was made as the sample's was."""
    from asr_gate.audit.gate.read import NoVerdict, check_tables, read_report

    try:
        full = read_report(folder)
        check_tables(full, folder)
    except NoVerdict:
        return False
    return full.total_samples == full.dataset.utterances and (
        full.dataset,
        full.aligner.weights_sha256,
        full.policy,
        full.pairing.files,
    ) == (
        sample.dataset,
        sample.aligner.weights_sha256,
        sample.policy,
        sample.pairing.files,
    )
