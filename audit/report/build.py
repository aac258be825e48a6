"""From measurements and findings to the report and its tables."""

from __future__ import annotations

import subprocess
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from math import fsum
from pathlib import Path

import numpy as np

from audit.acoustic.interface import ModelInfo
from audit.align.times import Delay
from audit.controls.calibrate import Power, Sight
from audit.controls.kinds import KINDS
from audit.gate.estimate import METHOD, Interval, StratumCount, estimate, wilson
from audit.gate.policy import Policy
from audit.gate.verdict import RECOMMENDATIONS, decide
from audit.measured import Measured
from audit.plan import Plan
from audit.report import schema
from audit.report.sight import blind_spots, no_verdict
from corpus.fingerprint import Fingerprint
from corpus.speech.audio import stored_duration
from corpus.utterance import Corpus

LENGTH_MISMATCH = "D003"
"""The rule that finds a length mismatch."""

DIGITS = 6
"""Decimals in the report: more than anyone reads, fewer than processors disagree on."""


@dataclass(frozen=True)
class Aligned:
    """What aligned."""

    model: ModelInfo
    delay: Delay


@dataclass(frozen=True)
class AuditResult:
    """A report and the rows that it rests on."""

    report: schema.Report
    rows: list[Measured]
    findings: dict[str, list[schema.Finding]]
    """By utterance id; only utterances with findings."""
    weights: dict[str, float]
    """How many utterances of the corpus a sampled one stands for, by domain."""

    def codes(self, row: Measured) -> list[str]:
        """Codes of what was found in one utterance, sorted."""
        return sorted({f.code for f in self.findings.get(row.id, [])})

    def low_quality(self, row: Measured) -> bool:
        """Whether any finding is an error."""
        return is_low_quality(self.findings.get(row.id, []))


def is_low_quality(findings: Sequence[schema.Finding]) -> bool:
    """An utterance is of low quality when any of its findings is an error that counts."""
    return any(finding.severity == "error" and finding.counts for finding in findings)


def build(
    corpus: Corpus,
    plan: Plan,
    rows: list[Measured],
    findings: Sequence[schema.Finding],
    aligned: Aligned,
    sight: Sight,
    figures: Mapping[str, frozenset[str]],
    policy: Policy,
    prints: Fingerprint,
) -> AuditResult:
    """Put the report together; `digest` and `tables` are filled when it is written."""
    by_id: dict[str, list[schema.Finding]] = {}
    for finding in findings:
        by_id.setdefault(finding.id, []).append(finding)
    low = {row.id for row in rows if is_low_quality(by_id.get(row.id, []))}
    weights = {domain: stratum.weight for domain, stratum in plan.strata.items()}
    domains: dict[str, schema.DomainStatistics] = {}
    counts: dict[str, StratumCount] = {}
    intervals: dict[str, Interval] = {}
    confidence = policy.decision.confidence
    for domain, stratum in plan.strata.items():
        members = [row for row in rows if row.domain == domain]
        bad = sum(row.id in low for row in members)
        counts[domain] = StratumCount(stratum.population, stratum.sampled, bad)
        intervals[domain] = estimate([counts[domain]], confidence)
        domains[domain] = _domain(members, counts[domain], intervals[domain], by_id)
    overall = estimate(list(counts.values()), confidence)
    everything = len(corpus.utterances) + len(corpus.skipped)
    skipped = 100 * len(corpus.skipped) / everything
    unfit = no_verdict(sight, policy.controls, aligned.model)
    verdict = unfit or decide(policy.decision, overall, intervals, skipped)
    # Where nothing can be told, what else cannot is no news.
    notes = [] if unfit else blind_spots(sight, policy.controls, figures)
    model = aligned.model
    report = schema.Report(
        schema_version=schema.SCHEMA_VERSION,
        decision=verdict.decision,
        recommendation=RECOMMENDATIONS[verdict.decision],
        reasons=verdict.reasons + notes,
        total_samples=len(rows),
        low_quality_count=len(low),
        low_quality_percentage=_r(100 * overall.rate),
        estimate=schema.Estimate(
            rate=_r(overall.rate),
            low=_r(overall.low),
            high=_r(overall.high),
            confidence=confidence,
            method=METHOD,
        ),
        coverage_distribution=_distribution(rows, weights),
        domain_statistics=domains,
        rules=_rules(findings),
        findings=sorted(
            (_rounded(finding) for finding in findings),
            key=lambda finding: (finding.id, finding.code, finding.start or 0.0),
        ),
        controls={
            kind: _power(total, confidence, any(kind in blind for blind in sight.blind.values()))
            for kind in KINDS
            if (total := sight.total(kind)) is not None
        },
        domain_controls={
            domain: {
                kind: _power(power, confidence, kind in sight.blind[domain])
                for kind, power in kinds.items()
            }
            for domain, kinds in sight.power.items()
        },
        thresholds={
            domain: {evidence: _r(value) for evidence, value in values.items()}
            for domain, values in sight.thresholds.items()
        },
        figures={domain: sorted(names) for domain, names in figures.items()},
        skipped=[
            schema.Skipped(id=row.id, origin=corpus.place(row.origin), reason=row.reason)
            for row in sorted(corpus.skipped, key=lambda row: row.id)
        ],
        dataset=schema.Dataset(
            fingerprint=prints.digest,
            utterances=len(corpus.utterances),
            hours=_r(fsum(stored_duration(u) or 0.0 for u in corpus.utterances) / 3600),
            manifests=corpus.manifests,
        ),
        sampling=schema.Sampling(
            seed=plan.seed,
            fraction=plan.fraction,
            method="stratified by domain, without replacement",
            strata={
                domain: schema.Stratum(
                    population=s.population, sampled=s.sampled, weight=_r(s.weight)
                )
                for domain, s in plan.strata.items()
            },
        ),
        aligner=schema.Aligner(
            name=model.name,
            revision=model.revision,
            weights_sha256=model.weights_sha256,
            language=model.language,
            stride=model.stride,
            delay=_r(aligned.delay.delay),
            delay_measured=aligned.delay.measured,
        ),
        policy=policy.model_dump(mode="json"),
        tables={},
        tool=schema.Tool(version=version("asr-gate"), git_commit=git_commit()),
        created_at=datetime.now(UTC).isoformat(timespec="microseconds"),
        digest="",
    )
    return AuditResult(report, rows, by_id, weights)


def _power(power: Power, confidence: float, blind: bool) -> schema.ControlPower:
    interval = wilson(power.detected, power.planted, confidence)
    return schema.ControlPower(
        n=power.planted,
        detected=power.detected,
        power=_r(interval.rate),
        low=_r(interval.low),
        high=_r(interval.high),
        false_alarm_rate=_r(power.flagged / power.heard) if power.heard else 0.0,
        blind=blind,
    )


def _rules(findings: Sequence[schema.Finding]) -> dict[str, int]:
    """How many utterances each rule found something in, as far as its findings count."""
    found = {(finding.code, finding.id) for finding in findings if finding.counts}
    return dict(sorted(Counter(code for code, _ in found).items()))


def _rounded(finding: schema.Finding) -> schema.Finding:
    if finding.start is None or finding.end is None:
        return finding
    return finding.model_copy(update={"start": _r(finding.start), "end": _r(finding.end)})


def _domain(
    members: Sequence[Measured],
    count: StratumCount,
    interval: Interval,
    findings: Mapping[str, Sequence[schema.Finding]],
) -> schema.DomainStatistics:
    coverages = [row.coverage for row in members]
    mismatched = sum(
        any(f.code == LENGTH_MISMATCH for f in findings.get(row.id, [])) for row in members
    )
    return schema.DomainStatistics(
        count=count.sampled,
        population=count.population,
        low_quality_count=count.low,
        low_quality_pct=_r(100 * interval.rate),
        low=_r(100 * interval.low),
        high=_r(100 * interval.high),
        mean_coverage=_r(float(np.mean(coverages))),
        median_coverage=_r(float(np.quantile(coverages, 0.5, method="inverted_cdf"))),
        mean_confidence=_r(float(np.mean([row.confidence for row in members]))),
        length_mismatch_pct=_r(100 * mismatched / len(members)),
    )


def _distribution(rows: Sequence[Measured], weights: Mapping[str, float]) -> schema.Distribution:
    coverages = np.array([row.coverage for row in rows])
    weight = np.array([weights[row.domain] for row in rows])
    p10, p25, p50, p75, p90 = np.quantile(
        coverages, [0.1, 0.25, 0.5, 0.75, 0.9], weights=weight, method="inverted_cdf"
    )
    return schema.Distribution(
        p10=_r(p10),
        p25=_r(p25),
        p50=_r(p50),
        p75=_r(p75),
        p90=_r(p90),
        mean=_r(float(np.average(coverages, weights=weight))),
    )


def _r(value: float) -> float:
    return round(float(value), DIGITS)


def git_commit() -> str | None:
    """Commit of the source tree that runs; None where this is an installed package."""
    tree = Path(__file__).parents[2]
    if not (tree / ".git").exists():
        return None
    try:
        found = subprocess.run(
            ["git", "rev-parse", "HEAD"],
            cwd=tree,
            capture_output=True,
            text=True,
            timeout=5,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return found.stdout.strip()
