"""`asr correct`."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from asr_gate.cli.lines import columns, print_lines
from asr_gate.cli.main import debug_option, show
from asr_gate.cli.options import REPORT, codes_of, corpus_options
from asr_gate.cli.project import FILE, load_project, reading

if TYPE_CHECKING:
    from asr_gate.audit.gate.tables import AuditReport
    from asr_gate.corpus.correct import Plan
    from asr_gate.corpus.corrections import Correction
    from asr_gate.corpus.edit import Placed
    from asr_gate.corpus.utterance import Corpus

NAME = "corrected"
"""Of the audit that is to follow, so that the one before stays."""
MOST_LINES = 50
"""Corrections that were not applied and are listed; the ledger has all."""


@click.command(
    "correct",
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Example: asr correct --data corpus/train.jsonl --corrections review.jsonl --dry-run",
)
@click.option(
    "--data",
    multiple=True,
    metavar="MANIFEST",
    help="The manifest to correct; repeat for several.  [default: the corpus of asr.toml]",
)
@click.option(
    "--corrections",
    "files",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Verdicts (review.jsonl), corrections (.jsonl), or what asr corrections import reads "
    "(.json, .csv); repeat for several.",
)
@click.option(
    "--report",
    type=REPORT,
    help="The report that was reviewed: verdicts must be about it, and count only where the text "
    "is still the same.",
)
@click.option(
    "--apply-proposals",
    multiple=True,
    metavar="CODE,…",
    help="Write the texts that the report proposes for these rules (A005, A006, A007).",
)
@click.option(
    "--min-confidence",
    type=click.FloatRange(0, 1),
    help="Proposals of at least this confidence.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="FILE|FOLDER",
    help="Where to write; a folder for several manifests.  [default: train.corrected.jsonl beside "
    "it]",
)
@click.option("--dry-run", is_flag=True, help="Show what would be done, and write nothing.")
@click.option(
    "--write-settings",
    is_flag=True,
    help=f"Name the corrected corpus in {FILE}, for later commands.",
)
@corpus_options
@click.option("--json", "as_json", is_flag=True, help="Print what was done as JSON.")
@debug_option
def command(
    data: tuple[str, ...],
    files: tuple[Path, ...],
    report: Path | None,
    apply_proposals: tuple[str, ...],
    min_confidence: float | None,
    out: Path | None,
    dry_run: bool,
    write_settings: bool,
    audio_root: Path | None,
    split: str | None,
    as_json: bool,
) -> int:
    """Write a copy of the manifests with people's corrections: texts, trims, dropped rows.

    Each copy has the format of its manifest, and no manifest is changed. A correction is left out
    where the text is no longer the one that was reviewed, where people disagree, and where the
    format has no place for it; the others are applied. The ledger beside each copy,
    OUT.corrections.jsonl, says of every correction what came of it, and why.

    Exit codes: 0 written, 30 the report is missing or was altered, 2 bad usage or input, or no
    correction is about this corpus.
    """
    from asr_gate.audit.gate.tables import load
    from asr_gate.cli.write_settings import last_lines, name_instead
    from asr_gate.corpus.correct import plan, write_corrected
    from asr_gate.corpus.errors import UserError

    if not files and not apply_proposals:
        raise click.UsageError("name the corrections with --corrections FILE")
    if bool(apply_proposals) != (min_confidence is not None):
        raise click.UsageError("--apply-proposals and --min-confidence need each other")
    if apply_proposals and report is None:
        raise click.UsageError("--apply-proposals needs the --report that proposes")
    project = load_project()
    if not data and not project.corpus.manifests:
        raise click.UsageError(
            f"name the manifest with --data MANIFEST, or as corpus.manifests of {FILE}"
        )
    source = reading(project, data, audio_root, split)
    found = None if report is None else load(report)
    if found is not None:
        source = replace(source, split=source.split or found.content.dataset.split)
    given = _given(files, found, apply_proposals, min_confidence)
    corpus = source.read()
    planned = plan(corpus, given, split=source.split, labels=source.labels)
    if planned.entries and planned.count("unknown") == len(planned.entries):
        raise UserError(
            f"{', '.join(corpus.manifests)}: none of the {len(given)} corrections is about one of "
            f"its rows (the first is about {given[0].id[:80]!r}); name the corpus that was reviewed"
        )
    placed: list[Placed] = []
    following = None
    if not dry_run and planned.count("applied"):
        placed = write_corrected(
            corpus,
            planned,
            out=out,
            audio_root=source.audio_root,
            split=source.split,
            labels=source.labels,
        )
        paths = [str(one.path) for one in placed]
        options_split = source.split
        if write_settings:
            name_instead(FILE, [(one.manifest, one.path) for one in placed])
            paths = []
            options_split = None if source.split == project.corpus.split else source.split
        root = audio_root if write_settings else source.audio_root
        following = _next(found, paths, root, options_split)
    if as_json:
        told = _as_json(planned, placed, following)
        show(lambda: click.echo(json.dumps(told)))
        return 0
    lines = [*_table(planned, corpus, dry_run), *_left_out(planned), *_said(planned, placed)]
    if not dry_run and not placed:
        lines.append("nothing to apply, so nothing is written")
    if following:
        manifests = [one.manifest for one in placed]
        named = project.corpus.manifests
        lines += last_lines(FILE, named, manifests, "corrected", following, wrote=write_settings)
    show(lambda: print_lines(lines))
    return 0


def _given(
    files: Sequence[Path],
    report: AuditReport | None,
    proposals: Sequence[str],
    min_confidence: float | None,
) -> list[Correction]:
    """All corrections; proposals only for rows that nobody said anything about."""
    from asr_gate.audit.review.as_corrections import from_proposals, read_work

    digest = texts = None
    if report is not None:
        digest = report.content.audit_digest
        table = report.arrow("utterances")
        texts = dict(zip(table["id"].to_pylist(), table["text"].to_pylist(), strict=True))
    given = read_work(files, digest, texts)
    if report is not None and proposals and min_confidence is not None:
        codes = _proposing(proposals)
        said = {one.id for one in given}
        given += [
            one for one in from_proposals(report, codes, min_confidence) if one.id not in said
        ]
    return given


def _proposing(given: Sequence[str]) -> set[str]:
    from asr_gate.audit.report.propose import PROPOSED

    codes = codes_of(given)
    if vain := codes - PROPOSED:
        raise click.UsageError(f"{min(vain)}: proposes no text; {', '.join(sorted(PROPOSED))} do")
    return codes


def _next(
    report: AuditReport | None, paths: Sequence[str], audio_root: Path | None, split: str | None
) -> str:
    """The command that audits the corrected corpus."""
    import shlex

    from asr_gate.audit.report.next_steps import Data, audit_again, read_options

    data = Data(paths, read_options(audio_root, split))
    if report is None:
        return shlex.join(["asr", "audit", *data.audit(), "--name", NAME])
    return audit_again(report.content, data, name=NAME)


def _table(plan: Plan, corpus: Corpus, dry: bool) -> list[str]:
    """What is done, by action and domain."""
    domains = {u.id: u.domain for u in corpus.utterances}
    many = plan.count("applied")
    left = plan.count("conflict", "unknown", "refused")
    lines = [
        f"{len(plan.entries)} corrections: {many} {'would be' if dry else 'were'} applied, "
        f"{plan.count('nothing to do')} had nothing to do, {left} left out"
    ]
    counts = Counter(
        (entry.action, domains.get(entry.id, "-"), entry.outcome) for entry in plan.entries
    )
    cells = [("action", "domain", "outcome", "rows")] if counts else []
    cells += [(*key, str(rows)) for key, rows in sorted(counts.items())]
    lines += columns(cells)
    return lines


def _left_out(plan: Plan) -> list[str]:
    left = [one for one in plan.entries if one.outcome in ("conflict", "unknown", "refused")]
    lines = [
        f"{one.origin or one.id}: {one.id}: {one.action} left out ({one.outcome}): {one.reason}"
        for one in left[:MOST_LINES]
    ]
    if len(left) > MOST_LINES:
        lines.append(f"and {len(left) - MOST_LINES} more; the ledger has all")
    return lines


def _said(plan: Plan, placed: Sequence[Placed]) -> list[str]:
    from asr_gate.corpus.correct import ledger_of

    lines = []
    for one in placed:
        counts = _counts(plan, one)
        lines.append(
            f"{one.path}: {counts['kept']} rows, {counts['texts']} texts corrected, "
            f"{counts['trims']} trimmed, {counts['dropped']} dropped; see {ledger_of(one.path)}"
        )
    return lines


def _counts(plan: Plan, placed: Placed) -> dict[str, int]:
    ids = {row.id for row in placed.rows}
    gone = len(ids & plan.edits.dropped)
    return {
        "kept": placed.count - gone,
        "dropped": gone,
        "texts": len(ids & plan.edits.texts.keys()),
        "trims": len(ids & plan.edits.trims.keys()),
    }


def _as_json(plan: Plan, placed: Sequence[Placed], following: str | None) -> dict[str, Any]:
    from asr_gate.corpus.correct import ledger_of

    outcomes = Counter(entry.outcome for entry in plan.entries)
    return {
        "corrections": len(plan.entries),
        "outcomes": {name.replace(" ", "_"): many for name, many in sorted(outcomes.items())},
        "entries": [entry.model_dump() for entry in plan.entries],
        "written": [
            {
                "manifest": one.manifest,
                "path": str(one.path),
                "ledger": str(ledger_of(one.path)),
                **_counts(plan, one),
            }
            for one in placed
        ],
        "next": following,
    }
