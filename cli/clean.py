"""`asr clean`."""

from __future__ import annotations

import json
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
    from asr_gate.audit.gate.drop import Group
    from asr_gate.audit.records.excluded import Choice
    from asr_gate.corpus.write import Written

CLEANED = "cleaned"
"""Name of the audit that is to follow, so that the one before stays."""
NAMED = 10
"""Rows that stay and may be wrong, of one reason."""
OF_THE_CORPUS = frozenset({"D009", "D010"})
"""Rules that speak of the corpus and name a row as an example."""


@click.command(
    "clean",
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Example: asr clean reports/phase0 --data corpus/train.jsonl --drop T008,D004 --dry-run",
)
@click.argument("report", required=False, type=REPORT)
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
@click.option("--drop", multiple=True, metavar="CODE,…", help="Drop rows with these warnings too.")
@click.option("--keep", multiple=True, metavar="CODE,…", help="Keep rows despite these errors.")
@click.option(
    "--fix",
    is_flag=True,
    help="Correct texts: take out markup and invisible characters, normalise characters (NFC) and "
    "spaces.",
)
@click.option(
    "--repair",
    is_flag=True,
    help="Give rows that say another row's text (A012) that text, move words to the neighbour that "
    "says them, and keep the rows. All rows must be audited.",
)
@click.option(
    "--all-rows",
    is_flag=True,
    help="First audit what the sample left out, as the sample was; run again, it goes on.",
)
@click.option("--dry-run", is_flag=True, help="Show what would be dropped, and write nothing.")
@click.option(
    "--write-settings", is_flag=True, help=f"Name the cleaned corpus in {FILE}, for later commands."
)
@corpus_options
@click.option("--json", "as_json", is_flag=True, help="Print what was written as JSON.")
@debug_option
def command(
    report: Path | None,
    data: tuple[str, ...],
    out: Path | None,
    drop: tuple[str, ...],
    keep: tuple[str, ...],
    fix: bool,
    repair: bool,
    all_rows: bool,
    dry_run: bool,
    write_settings: bool,
    audio_root: Path | None,
    split: str | None,
    as_json: bool,
) -> int:
    """Write a copy of the audited manifests without the rows that the audit excluded.

    REPORT is a report or the folder of an audit; by default the newest under reports/. It must have
    been made for exactly this data.

    Each copy has the format of its manifest. Left out are the rows that `asr train` excludes: those
    of low quality, and those that could not be audited. --drop and --keep choose more or fewer. Of
    rules about texts, copies and splits, --drop finds all rows, sampled or not; other rows that the
    audit did not sample stay. A file beside each copy, OUT.dropped.jsonl, lists what was left out,
    and why; OUT.fixed.jsonl lists what --fix and --repair corrected.

    Exit codes: 0 written, even if the verdict is STOP; 30 no verdict (the report is missing,
    altered, or for other data); 2 bad usage or input.
    """
    from asr_gate.audit.gate import (
        check_tables,
        find_latest,
        read_report,
        require_same_data,
    )
    from asr_gate.audit.gate import drop as dropping
    from asr_gate.audit.gate.remote import require_on_disk
    from asr_gate.audit.report.next_steps import Data, audit_again, read_options
    from asr_gate.cli.all_rows import audit_all_rows
    from asr_gate.cli.write_settings import last_lines, name_instead
    from asr_gate.corpus.errors import UserError
    from asr_gate.corpus.mirror import named
    from asr_gate.corpus.text.mend import mended
    from asr_gate.corpus.write import write_without

    project = load_project()
    if not data and not project.corpus.manifests:
        raise click.UsageError(
            f"name the audited manifest with --data MANIFEST, or as corpus.manifests of {FILE}"
        )
    choice = _choice(drop, keep)
    source = reading(project, data, audio_root, split)
    path = report or find_latest(project.output.reports, source.manifests)
    folder = path if path.is_dir() else path.parent
    found = read_report(path)
    check_tables(found, folder)
    source = replace(source, split=source.split or found.dataset.split)
    corpus = source.read()
    content = require_same_data(found, str(path), corpus, folder).comparable()
    sampled = found.total_samples < found.dataset.utterances
    if repair and sampled and not all_rows:
        raise UserError(
            f"--repair: {found.dataset.utterances - found.total_samples} of "
            f"{found.dataset.utterances} rows were not audited, and rows whose text went astray "
            "among them would stay; add --all-rows, which audits them first"
        )
    if all_rows and sampled:
        require_on_disk(folder, "asr clean --all-rows")
        manifests = source.manifests if data else []
        options = read_options(audio_root, source.split if data else split)
        path = folder = audit_all_rows(found, folder, corpus, manifests, options)
        found = read_report(path)
    findings = dropping.with_whole_corpus(found, str(path), corpus, content, choice)
    texts = dropping.corrections(corpus) if fix else {}
    findings = dropping.after_correction(findings, texts)
    repaired = dropping.repairs(found, corpus) if repair else {}
    findings = dropping.after_repair(findings, repaired)
    texts |= {id: mended(text) if fix else text for id, text in repaired.items()}
    dropped = dropping.rows_to_drop(found, str(path), findings, choice)
    doubtful = dropping.left_open(found, findings, {*dropped, *repaired})
    away = dropping.given_away(found, doubtful) if repair else {}
    dropped |= away
    still = ((why, [one for one in ids if one not in away]) for why, ids in doubtful.items())
    left_open = {why: ids for why, ids in still if ids}
    groups = list(dropping.grouped(dropped, findings, choice, away))
    fixed = len(texts.keys() - dropped.keys() - repaired.keys())
    given = len(repaired.keys() - dropped.keys())
    written: list[Written] = []
    following = None
    if not dry_run:
        written = write_without(
            corpus,
            dropped,
            texts=texts,
            out=out,
            audio_root=source.audio_root,
            split=source.split,
            labels=source.labels,
        )
        paths = [str(one.path) for one in written]
        options = read_options(source.audio_root, source.split)
        following = audit_again(found, Data(paths, options), name=CLEANED)
        if write_settings:
            name_instead(FILE, [(one.manifest, one.path) for one in written])
            options = read_options(
                audio_root, None if source.split == project.corpus.split else source.split
            )
            following = audit_again(found, Data([], options), name=CLEANED)
    unsampled = found.dataset.utterances - found.total_samples
    if as_json:
        told = {
            "report": named(str(path)),
            "digest": found.digest,
            "not_sampled": unsampled,
            "dropped": [{**group._asdict(), "rows": rows} for group, rows in groups],
            "fixed": fixed,
            "repaired": given,
            "left_open": left_open,
            "next": following,
            "written": [_as_json(one) for one in written],
        }
        show(lambda: click.echo(json.dumps(told)))
        return 0
    lines = [f"by the report {path}"] if path != report else []
    lines += _table(groups, len(dropped), len(corpus.utterances) + len(corpus.skipped), dry_run)
    if repair:
        lines.append(f"rows that got the text they say: {given}")
    elif astray := len(found.pairing.found):
        how = "--repair --all-rows gives" if sampled else "--repair gives"
        lines.append(f"{astray} audited rows say another row's text; {how} them that text")
    for why, ids in left_open.items():
        more = f" and {len(ids) - NAMED} more (--json names all)" if len(ids) > NAMED else ""
        lines.append(f"kept, and perhaps wrong ({why}): {', '.join(ids[:NAMED])}{more}")
    if fix:
        lines.append(f"corrected texts: {fixed}")
    if staying := dropping.staying(findings, dropped, choice):
        codes = ", ".join(f"{code} {rows}" for code, rows in staying.items())
        lines.append(f"rows with warnings that stay: {codes} (--drop CODE drops them)")
    if unsampled:
        lines.append(
            f"{unsampled} rows were not audited: the audit sampled {found.total_samples}; "
            "--all-rows hears them too"
        )
    lines += _said(written)
    if following:
        manifests = [one.manifest for one in written]
        ours = project.corpus.manifests
        lines += last_lines(FILE, ours, manifests, "cleaned", following, wrote=write_settings)
    show(lambda: print_lines(lines))
    return 0


def _choice(drop: Sequence[str], keep: Sequence[str]) -> Choice:
    """What the user asks for.

    Raises:
        click.UsageError: a rule is named twice, or has no rows to drop.
        UserError: there is no such rule.
    """
    from asr_gate.audit.records.excluded import Choice

    choice = Choice(frozenset(codes_of(drop)), frozenset(codes_of(keep)))
    if both := choice.drop & choice.keep:
        raise click.UsageError(f"{min(both)}: named for --drop and --keep; choose one")
    if vain := choice.drop & OF_THE_CORPUS:
        raise click.UsageError(f"{min(vain)}: speaks of the whole corpus; no row is to drop for it")
    return choice


def _table(groups: Sequence[tuple[Group, int]], dropped: int, total: int, dry: bool) -> list[str]:
    """What is dropped, by code, domain and split."""
    from asr_gate.audit.gate.drop import SKIPPED
    from asr_gate.audit.records.rules import catalogue

    lines = [f"{dropped} of {total} rows {'would be' if dry else 'were'} dropped"]
    names = {code: rule.name for code, rule in catalogue().items()} | {
        SKIPPED: "could not be audited"
    }
    cells = [("code", "", "domain", "split", "rows")] if groups else []
    cells += [
        (group.code, names.get(group.code, ""), group.domain or "-", group.split or "-", str(rows))
        for group, rows in groups
    ]
    lines += columns(cells)
    return lines


def _said(written: Sequence[Written]) -> list[str]:
    lines = []
    for one in written:
        logs = [str(one.drop_log)] if one.dropped else []
        logs += [str(one.fix_log)] if one.fix_log else []
        why = f"; see {' and '.join(logs)}" if logs else ""
        lines.append(f"{one.path}: {one.kept} rows kept, {one.dropped} dropped{why}")
    return lines


def _as_json(one: Written) -> dict[str, Any]:
    return {
        "manifest": one.manifest,
        "path": str(one.path),
        "drop_log": str(one.drop_log),
        "fix_log": None if one.fix_log is None else str(one.fix_log),
        "kept": one.kept,
        "dropped": one.dropped,
        "fixed": one.fixed,
    }
