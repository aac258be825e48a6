"""The report to experiment tracking: metrics, table, histogram, artifact."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np

from asr_gate.audit.records.excluded import excluded
from asr_gate.audit.records.report import LINK_FILE, REPORT_FILE, DomainStatistics, Share
from asr_gate.audit.report.build import AuditResult
from asr_gate.corpus.files import write_atomically
from asr_gate.corpus.speech.audio import AudioError, load
from asr_gate.corpus.utterance import Seconds, Utterance
from asr_gate.tracking import Clip, Tracker

ARTIFACT = "phase0-audit-report"
BINS = 10
WORST = 20
"""Utterances in the table of the worst."""
CLIP_RATE = 16000
CLIP_LONGEST: Seconds = 30.0
"""Most of a recording that is uploaded."""


def coverage_histogram(result: AuditResult) -> list[float]:
    """Share of the corpus in ten equal bins of coverage from 0 to 1."""
    counts, _ = np.histogram(
        [row.coverage for row in result.rows],
        bins=BINS,
        range=(0.0, 1.0),
        weights=[result.weights[row.domain] for row in result.rows],
    )
    return [float(share) for share in counts / counts.sum()]


def publish(
    result: AuditResult, utterances: Sequence[Utterance], folder: Path, tracker: Tracker
) -> None:
    """Log one audit, and note beside its report where the artifact went.

    Args:
        result: the audit.
        utterances: of its corpus, for clips of the worst.
        folder: where its files are.
        tracker: a tracker whose run has begun.
    """
    report = result.report
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
    shares, edges = coverage_histogram(result), [bin_ / BINS for bin_ in range(BINS + 1)]
    tracker.log_histogram("phase0/coverage_histogram", shares, edges)
    tracker.log_bars(
        "phase0/coverage",
        "Coverage, share of the corpus",
        [f"{low:.1f}-{high:.1f}" for low, high in pairwise(edges)],
        shares,
        axis="share",
    )
    if tracker.active:
        tracker.log_table("phase0/worst_utterances", *_worst(result, utterances))
    tracker.log_table(
        "phase0/domains",
        ["domain", *columns],
        [[name, *absolute_thresholds] for name, absolute_thresholds in domains.items()],
    )
    if report.decision == "STOP" and tracker.settings.alerts.stop:
        tracker.alert("phase0: STOP", "; ".join(report.reasons), "ERROR")
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


def _worst(
    result: AuditResult, utterances: Sequence[Utterance]
) -> tuple[list[str], list[list[object]]]:
    """Columns and rows of the utterances whose transcripts are least what is said there."""
    by_id = {utterance.id: utterance for utterance in utterances}
    worst = sorted(result.rows, key=lambda row: (row.quality, row.id))[:WORST]
    columns = ["id", "domain", "text", "quality", "coverage", "rules", "audio"]
    return columns, [
        [
            row.id,
            row.domain,
            row.measured.text,
            round(row.quality, 4),
            round(row.coverage, 4),
            " ".join(result.codes(row)),
            _clip(by_id[row.id]),
        ]
        for row in worst
    ]


def _clip(utterance: Utterance) -> Clip | None:
    """The begin of its audio; None: it cannot be decoded, as the rules beside it say."""
    try:
        recording = load(utterance, CLIP_RATE)
    except AudioError:
        return None
    return Clip(recording.samples[: round(CLIP_LONGEST * CLIP_RATE)], CLIP_RATE)


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
