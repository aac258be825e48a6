"""From measurements and findings to the report and its tables."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from math import fsum
from pathlib import Path
from typing import TYPE_CHECKING, overload

import numpy as np

from asr_gate.audit.acoustic.interface import ModelInfo
from asr_gate.audit.controls.calibrate import Power, Sight
from asr_gate.audit.controls.kinds import KINDS, Kind
from asr_gate.audit.gate.estimate import (
    METHOD,
    Interval,
    StratumCount,
    StratumHours,
    corrected,
    estimate,
    estimate_hours,
    quantile_interval,
    wilson,
)
from asr_gate.audit.gate.policy import Policy
from asr_gate.audit.gate.sequential import METHOD as SEQUENTIAL
from asr_gate.audit.gate.sequential import Ended
from asr_gate.audit.gate.verdict import RECOMMENDATIONS, decide
from asr_gate.audit.measured import Measured
from asr_gate.audit.plan import Plan
from asr_gate.audit.report import schema
from asr_gate.audit.report.sight import blind_spots, no_verdict, too_few, why_it_ended
from asr_gate.corpus.fingerprint import Fingerprint
from asr_gate.corpus.speech.audio import stored_duration
from asr_gate.corpus.utterance import Corpus, Seconds
from asr_gate.tracking.system import git_commit

if TYPE_CHECKING:
    from asr_gate.audit.engine.assess import Assessed

PERCENTILES = {"p10": 0.1, "p25": 0.25, "p50": 0.5, "p75": 0.75, "p90": 0.9}

CONDEMNING: tuple[Kind, ...] = ("swapped", "cut")
"""Kinds of planted defects that are errors where they are real; the others are warnings."""

LENGTH_MISMATCH = "D003"
"""The rule that finds a length mismatch."""

DIGITS = 6
"""Decimals in the report: more than anyone reads, fewer than processors disagree on."""


@dataclass(frozen=True)
class AuditResult:
    """A report and the rows that it rests on."""

    report: schema.Report
    rows: list[Measured]
    findings: dict[str, list[schema.Finding]]
    """By utterance id; only utterances with findings."""
    weights: dict[str, float]
    """How many utterances of the corpus a sampled one stands for, by domain."""
    prints: Fingerprint

    def codes(self, row: Measured) -> list[str]:
        """Codes of what was found in one utterance, sorted."""
        return sorted({f.code for f in self.findings.get(row.id, [])})

    def low_quality(self, row: Measured) -> bool:
        """Whether any finding is an error that counts."""
        return bool(low_quality_ids(self.findings.get(row.id, [])))


def low_quality_ids(findings: Iterable[schema.Finding]) -> set[str]:
    """Ids of the utterances in which any finding is an error that counts."""
    return {f.id for f in findings if f.severity == "error" and f.counts}


def build(
    corpus: Corpus,
    plan: Plan,
    assessed: Assessed,
    model: ModelInfo,
    policy: Policy,
    prints: Fingerprint,
    ended: Ended | None,
) -> AuditResult:
    """Put the report together; what is derived from the rest is filled in when it is written.

    Args:
        corpus: the corpus.
        plan: what was heard of it.
        assessed: what was found.
        model: what aligned.
        policy: what decides.
        prints: of the corpus.
        ended: how the audit ended if it heard until it was decided.
    """
    rows, sight, figures = assessed.rows, assessed.sight, assessed.figures
    by_id: dict[str, list[schema.Finding]] = {}
    for finding in assessed.findings:
        by_id.setdefault(finding.id, []).append(finding)
    low = low_quality_ids(assessed.findings) & {row.id for row in rows}
    lengths = {u.id: stored_duration(u) or 0.0 for u in corpus.utterances}
    strata = _strata(plan, corpus, rows, low, lengths)
    confidence = policy.decision.confidence
    found = {domain: estimate([s.count], confidence) for domain, s in strata.items()}
    overall = estimate([s.count for s in strata.values()], confidence)
    if ended is not None:
        overall, found = ended.last.overall, ended.last.domains
    sighted = _condemning_power(sight, policy)
    correction = corrected(overall, *sighted, confidence=confidence)
    deciding, each = overall, found
    if policy.decision.correct_for_controls:
        deciding = correction or overall
        each = {
            d: corrected(one, *sighted, confidence=confidence) or one for d, one in found.items()
        }
    everything = len(corpus.utterances) + len(corpus.skipped)
    skipped = 100 * len(corpus.skipped) / everything
    unfit = no_verdict(sight, policy.controls, model) or too_few(
        len(rows), len(corpus.utterances), policy.decision
    )
    verdict = unfit or decide(policy.decision, deciding, each, skipped)
    # Where nothing can be told, what else cannot is no news.
    notes = [] if unfit else blind_spots(sight, policy.controls, figures)
    stopped = [] if ended is None else [why_it_ended(ended, len(rows), policy.decision)]
    report = schema.Report(
        schema_version=schema.SCHEMA_VERSION,
        decision=verdict.decision,
        recommendation=verdict.recommendation or RECOMMENDATIONS[verdict.decision],
        reasons=verdict.reasons + stopped + notes,
        total_samples=len(rows),
        low_quality_count=len(low),
        low_quality_percentage=_r(100 * overall.rate),
        estimate=schema.Estimate(
            **_share(overall).model_dump(),
            confidence=confidence,
            method=METHOD if ended is None else SEQUENTIAL,
            hours=_share(estimate_hours([s.hours for s in strata.values()], confidence)),
            corrected=None
            if correction is None
            else schema.Corrected(
                **_share(correction).model_dump(),
                power=_r(sighted[0] / sighted[1]),
                false_alarm=_r(sighted[2]),
            ),
        ),
        coverage_distribution=_distribution(list(strata.values()), confidence),
        domain_statistics={
            domain: _domain(stratum, found[domain], by_id, confidence)
            for domain, stratum in strata.items()
        },
        rules=_rules(assessed.findings),
        findings=sorted(
            (_rounded(finding) for finding in assessed.findings),
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
            fingerprint_audio=prints.audio,
            utterances=len(corpus.utterances),
            hours=_r(fsum(lengths.values()) / 3600),
            manifests=corpus.manifests,
        ),
        sampling=schema.Sampling(
            seed=plan.seed,
            fraction=plan.fraction,
            method="stratified by domain, without replacement"
            + (", until decided" if ended else ""),
            strata={
                domain: schema.Stratum(
                    population=s.population, sampled=s.sampled, weight=_r(s.weight)
                )
                for domain, s in plan.strata.items()
            },
            sequential=None
            if ended is None
            else schema.Sequential(
                budget=ended.budget,
                looks=ended.looks,
                settled=ended.last.settled,
                open=list(ended.last.open),
            ),
        ),
        aligner=schema.Aligner(
            name=model.name,
            revision=model.revision,
            weights_sha256=model.weights_sha256,
            language=model.language,
            stride=model.stride,
            delay=_r(assessed.delay.delay),
            delay_measured=assessed.delay.measured,
        ),
        policy=policy.model_dump(mode="json"),
        tables={},
        tool=schema.Tool(version=version("asr-gate"), git_commit=source_commit()),
        created_at=datetime.now(UTC).isoformat(timespec="microseconds"),
        digest="",
        seal="",
    )
    weights = {domain: stratum.weight for domain, stratum in plan.strata.items()}
    return AuditResult(report, rows, by_id, weights, prints)


@dataclass(frozen=True)
class _Stratum:
    """What was heard of one domain."""

    rows: list[Measured]
    count: StratumCount
    hours: StratumHours


def _strata(
    plan: Plan,
    corpus: Corpus,
    rows: Sequence[Measured],
    low: set[str],
    lengths: Mapping[str, Seconds],
) -> dict[str, _Stratum]:
    members: dict[str, list[Measured]] = {domain: [] for domain in plan.strata}
    for row in rows:
        members[row.domain].append(row)
    seconds: dict[str, list[Seconds]] = {domain: [] for domain in plan.strata}
    for u in corpus.utterances:
        seconds[u.domain].append(lengths[u.id])
    strata = {}
    for domain, heard in members.items():
        size = plan.strata[domain].population
        bad = [row.id in low for row in heard]
        hours = StratumHours(size, fsum(seconds[domain]), [lengths[r.id] for r in heard], bad)
        strata[domain] = _Stratum(heard, StratumCount(size, len(heard), sum(bad)), hours)
    return strata


def _condemning_power(sight: Sight, policy: Policy) -> tuple[int, int, float]:
    """Planted defects found, planted, and false alarms, of the kinds that condemn an utterance."""
    seen = [
        total
        for kind in CONDEMNING
        if not any(kind in blind for blind in sight.blind.values())
        and (total := sight.total(kind)) is not None
    ]
    return (
        sum(power.detected for power in seen),
        sum(power.planted for power in seen),
        policy.controls.false_alarm * len(seen),
    )


@overload
def _share(interval: Interval) -> schema.Share: ...
@overload
def _share(interval: Interval | None) -> schema.Share | None: ...
def _share(interval: Interval | None) -> schema.Share | None:
    if interval is None:
        return None
    return schema.Share(rate=_r(interval.rate), low=_r(interval.low), high=_r(interval.high))


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
    stratum: _Stratum,
    interval: Interval,
    findings: Mapping[str, Sequence[schema.Finding]],
    confidence: float,
) -> schema.DomainStatistics:
    members, count = stratum.rows, stratum.count
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
        hours=_r(stratum.hours.seconds / 3600),
        low_quality_hours=_share(estimate_hours([stratum.hours], confidence)),
    )


def _distribution(strata: Sequence[_Stratum], confidence: float) -> schema.Distribution:
    coverages = [(s.count.population, np.array([row.coverage for row in s.rows])) for s in strata]
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


def source_commit() -> str | None:
    """Commit of the source tree that runs; None where this is an installed package."""
    tree = Path(__file__).parents[3]
    return git_commit(tree) if (tree / ".git").exists() else None
