"""`asr review`."""

from __future__ import annotations

import webbrowser
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from asr_gate.cli.main import debug_option, show
from asr_gate.cli.options import REPORT, corpus_options
from asr_gate.cli.project import load_project, reading

if TYPE_CHECKING:
    from asr_gate.audit.records.report import Review
    from asr_gate.audit.review.apply import Applied
    from asr_gate.audit.review.store import ReviewFile

NAMED = 5
"""Conflicts that are named."""


@click.command(
    "review",
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Example: asr review reports/phase0 --sample 50 --reviewer Dana",
)
@click.argument("report", type=REPORT)
@click.argument("files", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "--sample",
    type=click.IntRange(2, 100_000),
    metavar="N",
    help="Show a blind random sample of N rows instead, excluded ones and others, unmarked.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of the blind sample.")
@click.option("--reviewer", default="", metavar="NAME", help="Who judges.")
@click.option("--open", "browser", is_flag=True, help="Open the page in a browser.")
@click.option(
    "--apply",
    "applying",
    is_flag=True,
    help="Put the verdicts, and those in FILES, into the report.",
)
@click.option(
    "--data",
    multiple=True,
    metavar="MANIFEST",
    help="The audited manifest; repeat for several.  [default: as the report names them]",
)
@corpus_options
@debug_option
def command(
    report: Path,
    files: tuple[Path, ...],
    sample: int | None,
    seed: int,
    reviewer: str,
    browser: bool,
    applying: bool,
    data: tuple[str, ...],
    audio_root: Path | None,
    split: str | None,
) -> int:
    """Listen to the rows of a report in a browser, and say which are right.

    REPORT is a report or an audit's folder. The page is served on this machine alone, at an address
    that nobody can guess; each verdict is written to review.jsonl beside the report at once. Ctrl-C
    ends it; the next time it goes on where it was.

    With --sample, the rows are a random sample and nothing shows what the audit found in them: such
    verdicts measure the audit.

    With --apply, the verdicts are put into the report: rows that people call right are no longer
    excluded, rows that they call wrong are, and the share of wrong rows in the corpus is estimated
    from the blind sample. FILES are more verdicts, as report.html exports them.

    Exit codes: 0 done, 2 bad usage or input, 30 the report is missing, altered, or for other data.
    """
    if len(reviewer) > 200:
        raise click.UsageError("--reviewer: longer than 200 characters")
    from asr_gate.audit.gate.remote import require_on_disk

    require_on_disk(report, "asr review")
    if applying:
        _apply(report, files)
        return 0
    if files:
        raise click.UsageError("FILES are for --apply")
    from asr_gate.audit.gate import read_report
    from asr_gate.audit.report.next_steps import Data, read_options
    from asr_gate.audit.review.server import ReviewServer
    from asr_gate.audit.review.shown import shown
    from asr_gate.audit.review.store import ReviewFile

    found = read_report(report)
    folder = report if report.is_dir() else report.parent
    source = reading(load_project(), data or tuple(found.dataset.manifests), audio_root, split)
    source = replace(source, split=source.split or found.dataset.split)
    store = ReviewFile(folder, found.audit_digest)
    try:
        named = Data(source.manifests, read_options(source.audio_root, source.split))
        rows = shown(report, source.read(), named, sample=sample, seed=seed)
        with ReviewServer(rows, store, reviewer) as server:
            _begin(server.address, len(server.ids), len(store.verdicts))
            if browser:
                webbrowser.open(server.address)
            try:
                server.serve_forever()
            except KeyboardInterrupt:
                _end(report, store)
    finally:
        store.close()
    return 0


def _begin(address: str, rows: int, given: int) -> None:
    so_far = f", {_many(given, 'verdict')} so far" if given else ""
    said = f"{_many(rows, 'row')} to review{so_far}. Open {address}"
    show(lambda: click.echo(f"{said}\nCtrl-C ends it."))


def _many(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def _end(report: Path, store: ReviewFile) -> None:
    from asr_gate.audit.review.verdicts import conflicts, merge

    if not store.verdicts:
        show(lambda: click.echo("\nNo verdicts were given."))
        return
    found = merge([store.verdicts])
    counts = Counter(one.agreed.verdict if one.agreed else "unsure" for one in found.values())
    said = ", ".join(f"{word} {count}" for word, count in sorted(counts.items()))
    split = conflicts(found)
    many = f"; {len(split)} with conflicts" if split else ""
    given = f"{_many(store.given, 'verdict')} given, {_many(len(found), 'row')} in {store.path}"
    line = f"{given} ({said}{many})"
    show(lambda: click.echo(f"\n{line}; put them in with: asr review {report} --apply"))


def _apply(report: Path, files: Sequence[Path]) -> None:
    from asr_gate.audit.review.apply import apply
    from asr_gate.corpus.text.plain import plain

    done = apply(report, files)
    show(lambda: click.echo("\n".join(map(plain, _told(done, report)))))


def _told(done: Applied, report: Path) -> list[str]:
    """What the verdicts did, a line each."""
    review = done.report.review
    assert review is not None
    said = ", ".join(f"{word} {count}" for word, count in review.counts.items())
    lines = [
        f"{_many(sum(review.counts.values()), 'row')} judged: {said}",
        f"not excluded, since people call them right: {_many(len(review.right), 'row')}; excluded, "
        f"since they call them wrong: {_many(len(review.wrong), 'row')}",
        *_estimated(review),
    ]
    for one in done.conflicts[:NAMED]:
        who = "; ".join(f"{v.who or 'somebody'}: {v.verdict}" for v in one.verdicts)
        lines.append(f"conflict: {one.id}: {who}")
    if len(done.conflicts) > NAMED:
        lines.append(f"and {len(done.conflicts) - NAMED} more conflicts: review.conflicts has all")
    if done.older:
        lines.append(f"left out: {_many(done.older, 'verdict')} about earlier audits")
    if done.signature:
        lines.append("the report is no longer signed: sign it again with asr sign")
    before = f" (it was {review.decision})" if review.decision != done.report.decision else ""
    lines.append(f"{done.report.decision}{before}: {report}, digest {done.report.digest}")
    return lines


def _estimated(review: Review) -> list[str]:
    if review.estimate is None:
        return ["no estimate: judge a blind sample with --sample 50"]
    named = (
        ("wrong rows in the corpus", review.estimate),
        ("precision of what is excluded", review.precision),
        ("recall", review.recall),
        ("wrong rows among the rest", review.missed),
    )
    return [
        f"{name}: {100 * one.rate:.1f} % ({100 * one.low:.1f}-{100 * one.high:.1f} %)"
        for name, one in named
        if one is not None
    ]
