"""What the seed of an audit decides: the same corpora, audited whole with one seed after another.

The seed draws the controls, and the texts of others that every transcript is compared with. All
rows of the corpora are audited with 24 seeds: the bundled ones, and the one of a first week
(`bench.week`) before and after its mistakes are dropped. For each: how often each decision came,
the estimate, the power of the controls, and in how many audits nothing could be told of a domain.
Writes the table of `docs/estimate.md`.

Run: python -m bench.seeds
"""

from __future__ import annotations

import os
import statistics
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from asr_gate.audit.pipeline import Settings, audit
from asr_gate.audit.policy import load_policy
from asr_gate.audit.records.report import Report
from asr_gate.corpus.labels import LabelRule
from asr_gate.corpus.read import read_corpus
from asr_gate.corpus.utterance import Corpus
from bench.docs import replace_figures
from bench.week import DOMAINS, EXAMPLE, MANIFESTS, Mistake, build

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "estimate.md"
SEEDS = range(24)
STAYING = {Mistake.WORDS, Mistake.MARKUP}
"""What cleaning does not drop."""


def main() -> None:
    """Audit, print, and put the table into the page."""
    lines = [
        "| corpus | decisions | low quality, %: mean (least to most) | cannot tell "
        "| power: swapped, cut, replaced |\n|---|---|---|---|---|\n"
    ]
    with tempfile.TemporaryDirectory() as folder:
        homes = ("XDG_CACHE_HOME", "XDG_STATE_HOME")
        os.environ.update({name: str(Path(folder) / name) for name in homes})
        os.chdir(folder)  # paths of a Kaldi folder start where the commands run
        for name, corpus in corpora(Path(folder)).items():
            lines.append(line(name, list(reports(corpus, Path(folder), SEEDS))))
            print(lines[-1], end="", flush=True)
    replace_figures(PAGE, "seeds", "".join(lines))


def corpora(folder: Path) -> Mapping[str, Corpus]:
    """The corpora by name; those of the week are built in a folder."""
    rows = build(folder)
    rules = [LabelRule(audio=f"*audio/{one}/*", domain=one) for one in DOMAINS.values()]
    week = read_corpus(list(MANIFESTS), audio_root=Path("data"), labels=rules)
    wrong = {row.id for row in rows if row.planted and row.planted not in STAYING}
    right = [u for u in week.utterances if u.id not in wrong]
    bundled = {
        f"bundled, {name}": read_corpus([str(EXAMPLE / f"{name}.jsonl")])
        for name in ("proceed", "stop")
    }
    return {**bundled, "week": week, "week, cleaned": replace(week, utterances=right, skipped=[])}


def reports(corpus: Corpus, folder: Path, seeds: Sequence[int]) -> Iterator[Report]:
    """The reports of audits of all rows by the embedded model."""
    for seed in seeds:
        settings = Settings(
            name="seeds",
            out=folder / "reports",
            aligner="embedded",
            language="en",
            policy=load_policy(),
            fraction=1.0,
            seed=seed,
            resume=False,
            device="cpu",
            batch_seconds=60.0,
        )
        yield audit(corpus, settings, _Quiet()).report


def line(name: str, found: Sequence[Report]) -> str:
    """One line of the table."""
    decisions = Counter(str(report.decision) for report in found)
    shares = [report.low_quality_percentage for report in found]
    untold = Counter(
        domain for r in found for domain, own in r.domain_statistics.items() if own.cannot_tell
    )
    power = ", ".join(
        f"{statistics.mean(report.controls[kind].power for report in found):.0%}"
        for kind in ("swapped", "cut", "replaced")
    )
    return (
        f"| {name} | {_counts(decisions)} | {statistics.mean(shares):.1f} ({min(shares):.1f} to "
        f"{max(shares):.1f}) | {_counts(untold) or 'never'} | {power} |\n"
    )


def _counts(found: Mapping[str, int]) -> str:
    return ", ".join(f"{count} × {name}" for name, count in sorted(found.items()))


class _Quiet:
    """Progress that nobody is told of."""

    def say(self, line: str) -> None: ...

    def start(self, total: int, done: int) -> None: ...

    def advance(self, utterances: int, seconds: float) -> None: ...


if __name__ == "__main__":
    main()
