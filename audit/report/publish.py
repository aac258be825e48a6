"""The report to experiment tracking: metrics, table, histogram, artifact."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from asr_gate.audit.records.excluded import excluded
from asr_gate.audit.records.report import DomainStatistics, Report, Share
from asr_gate.audit.report.artifact import (
    Logged,
    artifact_description,
    artifact_files,
    note_logged,
)
from asr_gate.audit.report.build import AuditResult
from asr_gate.corpus.utterance import Utterance
from asr_gate.tracking import Tracker
from asr_gate.tracking.clips import clip

BINS = 10
WORST = 20
"""Utterances in the table of the worst."""


@dataclass(frozen=True, slots=True)
class Row:
    """An audited utterance, as far as it is logged."""

    id: str
    domain: str
    text: str
    quality: float
    coverage: float
    rules: Sequence[str]
    """Codes of what was found in it."""


def rows_of(result: AuditResult) -> list[Row]:
    """The utterances of an audit that was just made."""
    return [
        Row(row.id, row.domain, row.measured.text, row.quality, row.coverage, result.codes(row))
        for row in result.rows
    ]


def rows_of_table(cells: Iterable[Mapping[str, Any]]) -> list[Row]:
    """The utterances of a stored report, from the rows of its table `utterances`."""
    return [Row(*(row[name] for name in Row.__slots__)) for row in cells]


def coverage_histogram(report: Report, rows: Sequence[Row]) -> list[float]:
    """Share of the corpus in ten equal bins of coverage from 0 to 1."""
    sampled = Counter(row.domain for row in rows)
    domains = report.domain_statistics
    # How many utterances of the corpus a sampled one stands for.
    weights = {
        name: domains[name].population / count if name in domains else 1.0
        for name, count in sampled.items()
    }
    counts, _ = np.histogram(
        [row.coverage for row in rows],
        bins=BINS,
        range=(0.0, 1.0),
        weights=[weights[row.domain] for row in rows],
    )
    return [float(share) for share in counts / counts.sum()]


def publish(
    report: Report,
    rows: Sequence[Row],
    folder: Path,
    tracker: Tracker,
    utterances: Sequence[Utterance] = (),
) -> str:
    """Log one audit, and note beside its report where the artifact went.

    Args:
        report: of the audit.
        rows: its utterances; empty: their table is not there.
        folder: where its files are.
        tracker: a tracker whose run has begun.
        utterances: of its corpus, for clips of the worst; empty: their sound is not logged.

    Returns:
        The reference of the artifact; empty: there is none.
    """
    distribution = report.coverage_distribution
    metrics: dict[str, float | int | str] = {
        "phase0/total_samples": report.total_samples,
        "phase0/low_quality_count": report.low_quality_count,
        "phase0/excluded": len(excluded(report)),
        "phase0/low_quality_percentage": report.low_quality_percentage,
        "phase0/not_judged_percentage": round(100 * (1 - report.estimate.judged), 6),
        "phase0/decision": report.decision,
        "phase0/coverage_p10": distribution.p10,
        "phase0/coverage_p25": distribution.p25,
        "phase0/coverage_median": distribution.p50,
        "phase0/coverage_p75": distribution.p75,
        "phase0/coverage_p90": distribution.p90,
        "phase0/coverage_mean": distribution.mean,
    }
    for kind, control in report.controls.items():
        metrics[f"phase0/controls/{kind}/power"] = control.power
        metrics[f"phase0/controls/{kind}/false_alarm_rate"] = control.false_alarm_rate
    columns = [name for name in DomainStatistics.model_fields if name != "cannot_tell"]
    domains = {
        name: [_figure(getattr(domain, column)) for column in columns]
        for name, domain in report.domain_statistics.items()
    }
    for name, absolute_thresholds in domains.items():
        for column, figure in zip(columns, absolute_thresholds, strict=True):
            if figure is not None:
                metrics[f"phase0/{name}/{column}"] = figure
    tracker.log_metrics(metrics)
    if rows and tracker.active:
        _log_rows(report, rows, tracker, utterances)
    tracker.log_table(
        "phase0/domains",
        ["domain", *columns],
        [[name, *absolute_thresholds] for name, absolute_thresholds in domains.items()],
    )
    if report.decision == "STOP" and tracker.settings.alerts.stop:
        tracker.alert("phase0: STOP", "; ".join(report.reasons), "ERROR")
    files = artifact_files(report, folder)
    reference = tracker.log_artifact(files, **artifact_description(report))
    if reference:
        note_logged(folder, Logged(reference, tracker.digest_of(reference)))
    return reference


def _log_rows(
    report: Report, rows: Sequence[Row], tracker: Tracker, utterances: Sequence[Utterance]
) -> None:
    """Log what is of single utterances: the histogram of coverage, and the worst."""
    shares, edges = coverage_histogram(report, rows), [bin_ / BINS for bin_ in range(BINS + 1)]
    tracker.log_histogram("phase0/coverage_histogram", shares, edges)
    tracker.log_bars(
        "phase0/coverage",
        "Coverage, share of the corpus",
        [f"{low:.1f}-{high:.1f}" for low, high in pairwise(edges)],
        shares,
        axis="share",
    )
    tracker.log_table("phase0/worst_utterances", *_worst(rows, utterances))


def _worst(
    rows: Sequence[Row], utterances: Sequence[Utterance]
) -> tuple[list[str], list[list[object]]]:
    """Columns and rows of the utterances whose transcripts are least what is said there."""
    by_id = {utterance.id: utterance for utterance in utterances}
    worst = sorted(rows, key=lambda row: (row.quality, row.id))[:WORST]
    columns = ["id", "domain", "text", "quality", "coverage", "rules", "audio"]
    return columns, [
        [
            row.id,
            row.domain,
            row.text,
            round(row.quality, 4),
            round(row.coverage, 4),
            " ".join(row.rules),
            clip(by_id[row.id]) if row.id in by_id else None,
        ]
        for row in worst
    ]


def _figure(value: float | Share | None) -> float | None:
    """A figure as charts take it: of a share with its interval, the share."""
    return value.rate if isinstance(value, Share) else value


def run_config(report: Report) -> dict[str, object]:
    """What the tracked run says about how the audit was made."""
    return {
        "aligner": report.aligner.model_dump(mode="json"),
        "sampling": report.sampling.model_dump(mode="json"),
        "policy": report.policy,
        "dataset": {
            "fingerprint": report.dataset.fingerprint,
            "utterances": report.dataset.utterances,
            "hours": report.dataset.hours,
        },
        "digest": report.digest,
    }
