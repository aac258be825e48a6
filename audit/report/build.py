"""From the decision, the findings and the judged utterances to the report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from math import fsum
from typing import overload

import numpy as np

from asr_gate.audit.acoustic.interface import ModelInfo
from asr_gate.audit.decide import sequential
from asr_gate.audit.decide.defects import METHOD
from asr_gate.audit.decide.distributions import beta_quantile
from asr_gate.audit.decide.estimate import Interval, StratumCount, quantile_interval, wilson
from asr_gate.audit.decide.outcome import DomainSample, Outcome
from asr_gate.audit.judge import JudgedSample
from asr_gate.audit.policy import Policy
from asr_gate.audit.records import report as schema
from asr_gate.audit.records.controls import KINDS
from asr_gate.audit.records.excluded import excluded_ids
from asr_gate.audit.records.finding import Finding
from asr_gate.audit.records.judged import Judged
from asr_gate.audit.records.opinion import SecondOpinion
from asr_gate.audit.records.power import Calibration, Power
from asr_gate.audit.sample.plan import Plan
from asr_gate.corpus.fingerprint import Fingerprint
from asr_gate.corpus.utterance import Corpus

PERCENTILES = {"p10": 0.1, "p25": 0.25, "p50": 0.5, "p75": 0.75, "p90": 0.9}

LENGTH_MISMATCH = "D003"
"""The rule that finds a length mismatch."""

DIGITS = 6
"""Decimals in the report: more than anyone reads, fewer than processors disagree on."""


@dataclass(frozen=True)
class AuditResult:
    """A report and the rows that it rests on."""

    report: schema.Report
    rows: list[Judged]
    findings: dict[str, list[Finding]]
    """By utterance id; only utterances with findings."""
    weights: dict[str, float]
    """How many utterances of the corpus a sampled one stands for, by domain."""
    fingerprint: Fingerprint
    folds: Mapping[str, int] | None = None
    """By utterance id, which fold's model judged it; None: the aligner was not adapted."""

    def codes(self, row: Judged) -> list[str]:
        """Codes of what was found in one utterance, sorted."""
        return sorted({f.code for f in self.findings.get(row.id, [])})

    def low_quality(self, row: Judged) -> bool:
        """Whether any finding excludes the utterance."""
        return bool(excluded_ids(self.findings.get(row.id, [])))


def build(
    corpus: Corpus,
    plan: Plan,
    sample: JudgedSample,
    outcome: Outcome,
    model: ModelInfo,
    policy: Policy,
    fingerprint: Fingerprint,
    tool: schema.Tool,
) -> AuditResult:
    """Put the report together; its digests are filled in when it is written.

    Args:
        corpus: the corpus.
        plan: what was sampled of it.
        sample: the sampled utterances, judged.
        outcome: the decision and its estimates.
        model: the aligner.
        policy: what decided.
        fingerprint: the corpus's.
        tool: what writes the report.
    """
    rows, calibration, delay = sample.rows, sample.calibration, sample.delay
    by_id: dict[str, list[Finding]] = {}
    for finding in sample.findings:
        by_id.setdefault(finding.id, []).append(finding)
    confidence = policy.decision.confidence
    verdict, power, ending = outcome.verdict, outcome.power, outcome.ending
    report = schema.Report(
        schema_version=schema.SCHEMA_VERSION,
        decision=verdict.decision,
        recommendation=verdict.recommendation,
        reasons=verdict.reasons,
        total_samples=len(rows),
        low_quality_count=sum(s.count.low for s in outcome.samples.values()),
        low_quality_percentage=_r(100 * outcome.overall.rate),
        estimate=schema.Estimate(
            **_share(outcome.overall).model_dump(),
            confidence=confidence,
            method=METHOD if ending is None else sequential.METHOD,
            judged=_r(outcome.judged),
            hours=_share(outcome.hours),
            corrected=None
            if outcome.corrected is None
            else schema.Corrected(
                **_share(outcome.corrected).model_dump(),
                power=_r(power.detected / power.planted),
                false_alarm=_r(power.false_alarms),
            ),
        ),
        coverage_distribution=_distribution(list(outcome.samples.values()), confidence),
        domain_statistics={
            domain: _domain(domain, outcome, sample.untold.get(domain), by_id)
            for domain in outcome.samples
        },
        split_statistics={
            split: _split(count, share) for split, (count, share) in outcome.splits.items()
        },
        rules=_rules(sample.findings),
        findings=sorted(
            (_rounded(finding) for finding in sample.findings),
            key=lambda finding: (finding.id, finding.code, finding.start or 0.0),
        ),
        pairing=sample.pairing,
        controls=control_powers(calibration, confidence),
        domain_controls={
            domain: {
                kind: _power(one, confidence, kind in calibration.underpowered[domain])
                for kind, one in kinds.items()
            }
            for domain, kinds in calibration.power.items()
        },
        thresholds={
            domain: {evidence: _r(value) for evidence, value in values.items()}
            for domain, values in calibration.thresholds.items()
        },
        absolute_thresholds={domain: sorted(names) for domain, names in sample.in_force.items()},
        skipped=[
            schema.Skipped(id=row.id, origin=corpus.relative_origin(row.origin), reason=row.reason)
            for row in sorted(corpus.skipped, key=lambda row: row.id)
        ],
        dataset=schema.Dataset(
            fingerprint=fingerprint.digest,
            fingerprint_audio=fingerprint.audio,
            fingerprint_from=fingerprint.taken_from,
            utterances=len(corpus.utterances),
            hours=_r(fsum(s.hours.seconds for s in outcome.samples.values()) / 3600),
            manifests=corpus.manifests,
            split=corpus.split,
        ),
        sampling=schema.Sampling(
            seed=plan.seed,
            fraction=plan.fraction,
            method="stratified by domain, without replacement"
            + (", until decided" if ending else ""),
            strata={
                domain: schema.Stratum(
                    population=s.population, sampled=s.sampled, weight=_r(s.weight)
                )
                for domain, s in plan.strata.items()
            },
            sequential=None
            if ending is None
            else schema.Sequential(
                budget=ending.budget,
                looks=ending.looks,
                settled=ending.last.settled,
                open=list(ending.last.open),
            ),
        ),
        aligner=schema.Aligner(
            name=model.name,
            revision=model.revision,
            weights_sha256=model.weights_sha256,
            language=model.language,
            stride=model.stride,
            delay=_r(delay.delay),
            delay_measured=delay.measured,
            precision=model.precision,
            romanized=model.romanised,
            trained=model.trained,
        ),
        policy=policy.model_dump(mode="json"),
        tables={},
        tool=tool,
        created_at=datetime.now(UTC).isoformat(timespec="microseconds"),
        digest="",
        seal="",
    )
    weights = {domain: stratum.weight for domain, stratum in plan.strata.items()}
    return AuditResult(report, rows, by_id, weights, fingerprint)


def control_powers(calibration: Calibration, confidence: float) -> dict[str, schema.ControlPower]:
    """What the controls showed, by kind, over all domains.

    Args:
        calibration: of an audit.
        confidence: of the intervals, 0 to 1.
    """
    return {
        kind: _power(
            total,
            confidence,
            any(kind in kinds for kinds in calibration.underpowered.values()),
        )
        for kind in KINDS
        if (total := calibration.total(kind)) is not None
    }


def with_adaptation(
    result: AuditResult, adaptation: schema.Adaptation, folds: Mapping[str, int]
) -> AuditResult:
    """The result of an audit whose aligner was adapted; `folds` of the rows, by id."""
    report = result.report.model_copy(update={"adaptation": adaptation})
    return replace(result, report=report, folds=folds)


def with_opinion(result: AuditResult, opinion: SecondOpinion) -> AuditResult:
    """The result with what a strict aligner says of some of its rows."""
    return replace(result, report=result.report.model_copy(update={"second_opinion": opinion}))


@overload
def _share(interval: Interval) -> schema.Share: ...
@overload
def _share(interval: Interval | None) -> schema.Share | None: ...
def _share(interval: Interval | None) -> schema.Share | None:
    if interval is None:
        return None
    return schema.Share(rate=_r(interval.rate), low=_r(interval.low), high=_r(interval.high))


def _power(power: Power, confidence: float, underpowered: bool) -> schema.ControlPower:
    interval = wilson(power.detected, power.planted, confidence)
    return schema.ControlPower(
        n=power.planted,
        detected=power.detected,
        power=_r(interval.rate),
        low=_r(interval.low),
        high=_r(interval.high),
        false_alarm_rate=_r(power.flagged / power.unplanted) if power.unplanted else 0.0,
        false_alarm_high=_most_false_alarms(power, confidence),
        underpowered=underpowered,
    )


def _rules(findings: Sequence[Finding]) -> dict[str, int]:
    """In how many utterances each rule found something that counts."""
    found = {(finding.code, finding.id) for finding in findings if finding.counts}
    return dict(sorted(Counter(code for code, _ in found).items()))


def _rounded(finding: Finding) -> Finding:
    if finding.start is None or finding.end is None:
        return finding
    return finding.model_copy(update={"start": _r(finding.start), "end": _r(finding.end)})


def _split(count: StratumCount, share: Interval | None) -> schema.SplitStatistics:
    return schema.SplitStatistics(
        count=count.sampled,
        population=count.population,
        low_quality_count=count.low,
        low_quality_pct=None if share is None else _r(100 * share.rate),
        low=None if share is None else _r(100 * share.low),
        high=None if share is None else _r(100 * share.high),
    )


def _domain(
    domain: str, outcome: Outcome, untold: str | None, findings: Mapping[str, Sequence[Finding]]
) -> schema.DomainStatistics:
    sample = outcome.samples[domain]
    rows = sample.rows
    share, hours = (
        (None, None)
        if untold is not None
        else (outcome.domains[domain], outcome.domain_hours[domain])
    )
    coverages = [row.coverage for row in rows]
    mismatched = sum(
        any(f.code == LENGTH_MISMATCH for f in findings.get(row.id, [])) for row in rows
    )
    return schema.DomainStatistics(
        **_split(sample.count, share).model_dump(),
        cannot_tell=untold,
        mean_coverage=_r(float(np.mean(coverages))),
        median_coverage=_r(float(np.quantile(coverages, 0.5, method="inverted_cdf"))),
        mean_confidence=_r(float(np.mean([row.confidence for row in rows]))),
        length_mismatch_pct=_r(100 * mismatched / len(rows)),
        hours=_r(sample.hours.seconds / 3600),
        low_quality_hours=_share(hours),
    )


def _distribution(samples: Sequence[DomainSample], confidence: float) -> schema.Distribution:
    coverages = [(s.count.population, np.array([row.coverage for row in s.rows])) for s in samples]
    found = {
        name: quantile_interval(coverages, share, confidence) for name, share in PERCENTILES.items()
    }
    values = np.concatenate([values for _, values in coverages])
    weights = np.concatenate([np.full(len(v), size / len(v)) for size, v in coverages])
    return schema.Distribution(
        **{name: _r(interval.rate) for name, interval in found.items()},
        mean=_r(float(np.average(values, weights=weights))),
        intervals={name: (_r(i.low), _r(i.high)) for name, i in found.items()},
    )


def _r(value: float) -> float:
    return round(float(value), DIGITS)


def _most_false_alarms(power: Power, confidence: float) -> float | None:
    """The share of right transcripts that pass at most, from how many utterances as they are do.

    A tolerance limit (Wilks, 1941): the threshold is no less than the highest value that does not
    pass, so what lies above it follows a beta law, whatever the law of the values. Real defects
    among those that pass only raise it.
    """
    if not power.unplanted:
        return None
    if power.flagged == power.unplanted:
        return 1.0
    return _r(beta_quantile(confidence, power.flagged + 1, power.unplanted - power.flagged))
