"""The report to experiment tracking: metrics, table, histogram, artifact."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from audit.report.build import AuditResult
from audit.report.read import LINK_FILE, REPORT_FILE
from audit.report.schema import Share
from corpus.files import write_atomically
from tracking import Tracker

ARTIFACT = "phase0-audit-report"
BINS = 10


def coverage_histogram(result: AuditResult) -> list[float]:
    """Share of the corpus in ten equal bins of coverage from 0 to 1."""
    counts, _ = np.histogram(
        [row.coverage for row in result.rows],
        bins=BINS,
        range=(0.0, 1.0),
        weights=[result.weights[row.domain] for row in result.rows],
    )
    return [float(share) for share in counts / counts.sum()]


def publish(result: AuditResult, folder: Path, tracker: Tracker) -> None:
    """Log one audit, and note beside its report where the artifact went.

    Args:
        result: the audit.
        folder: where its files are.
        tracker: a tracker whose run has begun.
    """
    report = result.report
    distribution = report.coverage_distribution
    metrics: dict[str, float | int | str] = {
        "phase0/total_samples": report.total_samples,
        "phase0/low_quality_count": report.low_quality_count,
        "phase0/low_quality_percentage": report.low_quality_percentage,
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
    columns = list(type(next(iter(report.domain_statistics.values()))).model_fields)
    domains = {
        name: [_figure(getattr(domain, column)) for column in columns]
        for name, domain in report.domain_statistics.items()
    }
    for name, figures in domains.items():
        for column, figure in zip(columns, figures, strict=True):
            if figure is not None:
                metrics[f"phase0/{name}/{column}"] = figure
    tracker.log_metrics(metrics)
    tracker.log_histogram(
        "phase0/coverage_histogram",
        coverage_histogram(result),
        [bin_ / BINS for bin_ in range(BINS + 1)],
    )
    tracker.log_table(
        "phase0/domains",
        ["domain", *columns],
        [[name, *figures] for name, figures in domains.items()],
    )
    reference = tracker.log_artifact(
        [folder / REPORT_FILE, folder / "report.md", *(folder / name for name in report.tables)],
        name=ARTIFACT,
        type="report",
        aliases=[report.decision.lower()],
        metadata={
            "decision": report.decision,
            "digest": report.digest,
            "dataset_fingerprint": report.dataset.fingerprint,
        },
    )
    # Where the trainer finds the artifact that it links its run to.
    if reference:
        write_atomically(folder / LINK_FILE, json.dumps({"artifact": reference}).encode())


def _figure(value: float | Share | None) -> float | None:
    """A figure as charts take it: of a share with its interval, the share."""
    return value.rate if isinstance(value, Share) else value


def run_config(result: AuditResult) -> dict[str, object]:
    """What the tracked run says about how the audit was made."""
    report = result.report
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
