"""What changed from one report to another: the data, the findings, the estimate, the rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from operator import itemgetter

from asr_gate.audit.records.report import Decision, Report
from asr_gate.corpus.fingerprint import RowDigest, differences

LEAST = 0.05
"""Change of a row's quality, 0 to 1, from which it is told: calibrating anew moves all a little."""


@dataclass(frozen=True)
class Side:
    """One of two reports."""

    report: Report
    rows: Mapping[str, RowDigest | None] | None
    """Digests of the corpus's rows; None: they are not there."""
    quality: Mapping[str, float]
    """Of the audited utterances, by id."""


@dataclass(frozen=True)
class Verdict:
    """What one report says of its corpus."""

    digest: str
    decision: Decision
    rate: float
    low: float
    high: float
    """The estimated share of low-quality utterances and its interval, 0 to 1."""
    judged: float
    """Share of the corpus that the estimate is of."""
    utterances: int
    audited: int


@dataclass(frozen=True)
class Row:
    """One row that differs."""

    id: str
    how: str
    """`added`, `removed`, `text changed`, …"""


@dataclass(frozen=True)
class RuleChange:
    """The findings of one rule."""

    a: int
    b: int
    gone: list[str]
    new: list[str]
    """Ids of the rows that have a finding in one of the reports alone."""


@dataclass(frozen=True)
class QualityChange:
    """A row that both reports audited, and that fares otherwise."""

    id: str
    a: float
    b: float
    how: str
    """How the row itself differs; empty: it does not."""


@dataclass(frozen=True)
class Diff:
    """What changed from report A to report B."""

    a: Verdict
    b: Verdict
    settings: list[str]
    """What else differs, so that the two are harder to compare."""
    rows: list[Row] | None
    """None: one of the reports does not have its rows beside it."""
    rules: dict[str, RuleChange]
    """By code, the rules with findings in either."""
    better: list[QualityChange]
    worse: list[QualityChange]
    """By how much."""


def _in_order(rows: Mapping[str, RowDigest | None]) -> list[tuple[str, RowDigest | None]]:
    return sorted(rows.items(), key=itemgetter(0))


def diff(a: Side, b: Side) -> Diff:
    """Compare two reports, usually of one corpus before and after it was corrected."""
    rows = None
    if a.rows is not None and b.rows is not None:
        rows = [
            Row(identity, how) for identity, how in differences(*map(_in_order, (a.rows, b.rows)))
        ]
    how = {row.id: row.how for row in rows or ()}
    changes = sorted(
        (
            QualityChange(i, a.quality[i], b.quality[i], how.get(i, ""))
            for i in a.quality.keys() & b.quality.keys()
            if abs(b.quality[i] - a.quality[i]) >= LEAST
        ),
        key=lambda change: (-abs(change.b - change.a), change.id),
    )
    return Diff(
        _verdict(a.report),
        _verdict(b.report),
        _settings(a.report, b.report),
        rows,
        _rules(a.report, b.report),
        [change for change in changes if change.b > change.a],
        [change for change in changes if change.b < change.a],
    )


def _verdict(report: Report) -> Verdict:
    e = report.estimate
    return Verdict(
        report.digest,
        report.decision,
        e.rate,
        e.low,
        e.high,
        e.judged,
        report.dataset.utterances,
        report.total_samples,
    )


def _settings(a: Report, b: Report) -> list[str]:
    pairs = {
        "aligner": (a.aligner.weights_sha256, b.aligner.weights_sha256),
        "policy": (a.policy, b.policy),
        "seed": (a.sampling.seed, b.sampling.seed),
        "fraction": (a.sampling.fraction, b.sampling.fraction),
        "split": (a.dataset.split, b.dataset.split),
    }
    return [name for name, (one, other) in pairs.items() if one != other]


def _rules(a: Report, b: Report) -> dict[str, RuleChange]:
    sides = [{(f.code, f.id) for f in report.findings} for report in (a, b)]
    counts = [[f.code for f in report.findings] for report in (a, b)]

    def only(code: str, one: int) -> list[str]:
        return sorted(i for c, i in sides[one] - sides[1 - one] if c == code)

    return {
        code: RuleChange(counts[0].count(code), counts[1].count(code), only(code, 0), only(code, 1))
        for code in sorted({*counts[0], *counts[1]})
    }
