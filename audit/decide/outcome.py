"""From what was found in the sample to the decision on the corpus."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from math import fsum

from asr_gate.audit.acoustic.interface import ModelInfo
from asr_gate.audit.decide.estimate import (
    Interval,
    StratumCount,
    StratumHours,
    corrected,
    estimate,
    estimate_hours,
)
from asr_gate.audit.decide.limits import (
    no_verdict,
    undetectable,
    untold_percentage,
    why_it_ended,
)
from asr_gate.audit.decide.sequential import Ending
from asr_gate.audit.decide.verdict import RECOMMENDATIONS, Verdict, decide
from asr_gate.audit.judge import JudgedSample
from asr_gate.audit.policy import Policy
from asr_gate.audit.records.controls import Kind
from asr_gate.audit.records.excluded import excluded_ids
from asr_gate.audit.records.judged import Judged
from asr_gate.audit.records.power import Calibration
from asr_gate.audit.sample.plan import Plan
from asr_gate.corpus.utterance import Corpus, Seconds

EXCLUDING: tuple[Kind, ...] = ("swapped", "cut")
"""Kinds of planted defects that exclude a row where they are real; the others are warnings."""


@dataclass(frozen=True)
class DomainSample:
    """The sampled utterances of one domain."""

    rows: list[Judged]
    count: StratumCount
    hours: StratumHours


@dataclass(frozen=True, slots=True)
class ExcludingPower:
    """Detection power for the kinds of planted defects that exclude a row."""

    detected: int
    planted: int
    false_alarm: float
    """Share of right transcripts that pass any of their thresholds, as the policy sets it."""


@dataclass(frozen=True)
class Outcome:
    """The decision and the estimates that it rests on; shares are 0 to 1."""

    verdict: Verdict
    samples: dict[str, DomainSample]
    """By domain."""
    overall: Interval
    """Of the domains that can be judged; of all of them where none can."""
    domains: dict[str, Interval]
    """Of each domain that can be judged."""
    judged: float
    """Share of the corpus that lies in these, 0 to 1."""
    hours: Interval | None
    """None: no length is known."""
    corrected: Interval | None
    power: ExcludingPower
    ending: Ending | None
    """How the audit ended if it sampled until the decision was settled."""


def conclude(
    corpus: Corpus,
    plan: Plan,
    sample: JudgedSample,
    lengths: Mapping[str, Seconds],
    model: ModelInfo,
    policy: Policy,
    ending: Ending | None,
) -> Outcome:
    """Estimate the share of low-quality utterances, and decide.

    Args:
        corpus: the corpus.
        plan: what was sampled of it.
        sample: the sampled utterances, judged.
        lengths: seconds of each utterance of the corpus by id, 0 where it is not known.
        model: the aligner.
        policy: what decides.
        ending: how the audit ended if it sampled until the decision was settled.
    """
    samples = _samples(plan, corpus, sample, lengths)
    confidence = policy.decision.confidence
    told = {d: s for d, s in samples.items() if d not in sample.untold} or samples
    domains = {domain: estimate([s.count], confidence) for domain, s in told.items()}
    overall = estimate([s.count for s in told.values()], confidence)
    if ending is not None:
        overall, domains = ending.last.overall, ending.last.domains
    power = _excluding_power(sample.calibration, policy)
    correction = _corrected(overall, power, confidence)
    deciding, each = overall, domains
    if policy.decision.correct_for_controls:
        deciding = correction or overall
        each = {d: _corrected(one, power, confidence) or one for d, one in domains.items()}
    everything = len(corpus.utterances) + len(corpus.skipped)
    skipped = 100 * len(corpus.skipped) / everything
    populations = {domain: s.count.population for domain, s in samples.items()}
    unfit = no_verdict(sample, populations, policy, model)
    unjudged = untold_percentage(sample.untold, populations)
    verdict = unfit or decide(policy.decision, deciding, each, skipped, sample.untold, unjudged)
    # Where nothing can be told, what else cannot is no news.
    notes = [] if unfit else undetectable(sample.calibration, policy.controls, sample.in_force)
    ended = [] if ending is None else [why_it_ended(ending, len(sample.rows), policy.decision)]
    return Outcome(
        verdict=Verdict(
            verdict.decision,
            [*verdict.reasons, *ended, *notes],
            verdict.recommendation or RECOMMENDATIONS[verdict.decision],
        ),
        samples=samples,
        overall=overall,
        domains=domains,
        judged=1 - unjudged / 100,
        hours=estimate_hours([s.hours for s in told.values()], confidence),
        corrected=correction,
        power=power,
        ending=ending,
    )


def _samples(
    plan: Plan,
    corpus: Corpus,
    sample: JudgedSample,
    lengths: Mapping[str, Seconds],
) -> dict[str, DomainSample]:
    low = excluded_ids(sample.findings)
    members: dict[str, list[Judged]] = {domain: [] for domain in plan.strata}
    for row in sample.rows:
        members[row.domain].append(row)
    seconds: dict[str, list[Seconds]] = {domain: [] for domain in plan.strata}
    for u in corpus.utterances:
        seconds[u.domain].append(lengths[u.id])
    samples = {}
    for domain, sampled in members.items():
        size = plan.strata[domain].population
        bad = [row.id in low for row in sampled]
        hours = StratumHours(size, fsum(seconds[domain]), [lengths[r.id] for r in sampled], bad)
        samples[domain] = DomainSample(sampled, StratumCount(size, len(sampled), sum(bad)), hours)
    return samples


def stratum_counts(sample: JudgedSample, populations: Mapping[str, int]) -> dict[str, StratumCount]:
    """How many were sampled in each domain that can be judged, or in all where none can, and how
    many of them are of low quality.
    """
    low = excluded_ids(sample.findings)
    sampled = Counter(row.domain for row in sample.rows)
    bad = Counter(row.domain for row in sample.rows if row.id in low)
    counts = {d: StratumCount(n, sampled[d], bad[d]) for d, n in populations.items()}
    return {d: count for d, count in counts.items() if d not in sample.untold} or counts


def _excluding_power(calibration: Calibration, policy: Policy) -> ExcludingPower:
    """The power for the kinds that exclude a row and that the audit can detect everywhere."""
    found = [
        total
        for kind in EXCLUDING
        if not any(kind in kinds for kinds in calibration.underpowered.values())
        and (total := calibration.total(kind)) is not None
    ]
    return ExcludingPower(
        sum(power.detected for power in found),
        sum(power.planted for power in found),
        policy.controls.false_alarm * len(found),
    )


def _corrected(found: Interval, power: ExcludingPower, confidence: float) -> Interval | None:
    return corrected(found, power.detected, power.planted, power.false_alarm, confidence)
