"""From what was found in the sample to the decision on the corpus."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import fsum

from asr_gate.audit.acoustic.interface import ModelInfo
from asr_gate.audit.decide.defects import MeasuredStratum, Power, corrected, defects
from asr_gate.audit.decide.estimate import (
    Interval,
    StratumCount,
    StratumHours,
    estimate,
    estimate_hours,
)
from asr_gate.audit.decide.limits import (
    no_verdict,
    undetectable,
    unseen_cuts,
    untold_percentage,
    why_it_ended,
)
from asr_gate.audit.decide.sequential import Ending
from asr_gate.audit.decide.splits import estimate_splits
from asr_gate.audit.decide.verdict import RECOMMENDATIONS, Verdict, decide
from asr_gate.audit.decide.words import many_word_errors
from asr_gate.audit.judge import JudgedSample
from asr_gate.audit.policy import Policy
from asr_gate.audit.records.controls import Kind
from asr_gate.audit.records.excluded import excluded_ids
from asr_gate.audit.records.judged import Judged
from asr_gate.audit.records.power import MIN_PLANTED, Calibration
from asr_gate.audit.records.power import Power as PlantedPower
from asr_gate.audit.sample.plan import Plan
from asr_gate.corpus.utterance import Corpus, Seconds

EXCLUDING: tuple[Kind, ...] = ("swapped", "cut")
"""Kinds of planted defects that exclude a row where they are real; the others are warnings."""

UNREADABLE = ("S001", "S002")
"""Faults of rows whose audio cannot be read: they could not be audited, as the skipped ones."""


@dataclass(frozen=True)
class DomainSample:
    """The sampled utterances of one domain."""

    rows: list[Judged]
    count: StratumCount
    hours: StratumHours


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
    splits: dict[str, tuple[StratumCount, Interval | None]]
    """By split: how many there are, were sampled, and are of low quality; and the estimated share.
    Empty: the corpus has no splits."""
    hours: Interval | None
    """None: no length is known."""
    domain_hours: dict[str, Interval | None]
    corrected: Interval | None
    power: Power
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
    told = {d: s for d, s in samples.items() if d not in sample.untold} or samples
    measured = measured_strata({d: s.count for d, s in told.items()}, sample)
    settings = policy.decision.confidence, policy.controls.false_alarm
    domains = {d: defects([one], *settings, seed=plan.seed) for d, one in measured.items()}
    overall = defects(list(measured.values()), *settings, seed=plan.seed)
    if ending is not None:
        overall, domains = ending.last.overall, ending.last.domains
    power = pooled_power(measured, sample.calibration)
    correction = corrected(overall, power)
    deciding, each = overall, domains
    if policy.decision.correct_for_controls:
        deciding = correction or overall
        each = {d: corrected(one, measured[d].power) or one for d, one in domains.items()}
    everything = len(corpus.utterances) + len(corpus.skipped)
    unreadable = {d: sum(_is_unreadable(row) for row in s.rows) for d, s in samples.items()}
    lost = fsum(
        s.count.population * unreadable[d] / s.count.sampled
        for d, s in samples.items()
        if s.count.sampled
    )
    skipped = 100 * (len(corpus.skipped) + lost) / everything
    populations = {domain: s.count.population for domain, s in samples.items()}
    judged = {domain: populations[domain] for domain in told}
    unfit = no_verdict(sample, populations, policy, model)
    unjudged = untold_percentage(sample.untold, populations)
    verdict = unfit or decide(
        policy.decision,
        deciding,
        each,
        skipped,
        sample.untold,
        unjudged,
        unreadable=sum(unreadable.values()),
        power_known=power.known,
        unseen=[
            *unseen_cuts(sample.calibration, judged, policy.decision),
            *many_word_errors(sample, judged, excluded_ids(sample.findings)),
        ],
    )
    # Where nothing can be told, what else cannot is no news.
    notes = [] if unfit else undetectable(sample.calibration, policy.controls, sample.in_force)
    astray = [pattern.sentence for pattern in sample.pairing.patterns]
    ended = [] if ending is None else [why_it_ended(ending, len(sample.rows), policy.decision)]
    return Outcome(
        verdict=Verdict(
            verdict.decision,
            [*verdict.reasons, *astray, *ended, *notes],
            verdict.recommendation or RECOMMENDATIONS[verdict.decision],
        ),
        samples=samples,
        overall=overall,
        domains=domains,
        judged=1 - unjudged / 100,
        splits=estimate_splits(corpus, sample, measured, policy, plan.seed),
        hours=_hours(told, overall, policy),
        domain_hours={d: _hours({d: s}, domains[d], policy) for d, s in told.items()},
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


def _is_unreadable(row: Judged) -> bool:
    fault = row.measured.fault
    return fault is not None and fault.code in UNREADABLE


def _hours(samples: Mapping[str, DomainSample], share: Interval, policy: Policy) -> Interval | None:
    """Share of the hours: its sampling interval, widened by as much as the measurement widens that
    of the utterances.
    """
    confidence = policy.decision.confidence
    found = estimate_hours([s.hours for s in samples.values()], confidence)
    if found is None:
        return None
    sampling = estimate([s.count for s in samples.values()], confidence)
    below, above = max(0.0, sampling.low - share.low), max(0.0, share.high - sampling.high)
    return Interval(found.rate, max(0.0, found.low - below), min(1.0, found.high + above))


def stratum_counts(sample: JudgedSample, populations: Mapping[str, int]) -> dict[str, StratumCount]:
    """How many were sampled in each domain that can be judged, or in all where none can, and how
    many of them are of low quality.
    """
    low = excluded_ids(sample.findings)
    sampled = Counter(row.domain for row in sample.rows)
    bad = Counter(row.domain for row in sample.rows if row.id in low)
    counts = {d: StratumCount(n, sampled[d], bad[d]) for d, n in populations.items()}
    return {d: count for d, count in counts.items() if d not in sample.untold} or counts


def measured_strata(
    counts: Mapping[str, StratumCount], sample: JudgedSample
) -> dict[str, MeasuredStratum]:
    """What was found in each domain, with the power to find it.

    A domain with too few planted defects has the power of all of them together.
    """
    calibration = sample.calibration
    everywhere = _excluding(
        [kinds for domain, kinds in calibration.power.items() if domain in counts], calibration
    )
    strata = {}
    for domain, count in counts.items():
        detected, planted = _excluding([calibration.power.get(domain, {})], calibration)
        if planted < MIN_PLANTED:
            detected, planted = everywhere
        alarms = sample.false_alarms.get(domain, 0.0)
        strata[domain] = MeasuredStratum(count, Power(detected, planted, alarms))
    return strata


def pooled_power(measured: Mapping[str, MeasuredStratum], calibration: Calibration) -> Power:
    """The power in all these domains together, and their false alarms by population."""
    total = sum(stratum.count.population for stratum in measured.values())
    alarms = fsum(
        stratum.count.population / total * stratum.power.false_alarms
        for stratum in measured.values()
    )
    kinds = [calibration.power[d] for d in measured if d in calibration.power]
    return Power(*_excluding(kinds, calibration), alarms)


def _excluding(
    kinds_of: Sequence[Mapping[Kind, PlantedPower]], calibration: Calibration
) -> tuple[int, int]:
    """Found and planted, of the kinds that exclude a row, that the audit can detect wherever it can
    tell anything, and of which enough was planted to say so.
    """
    unable = {
        kind
        for kinds in calibration.underpowered.values()
        if "swapped" not in kinds
        for kind in kinds
    }
    detected = planted = 0
    for kind in EXCLUDING:
        found = [kinds[kind] for kinds in kinds_of if kind in kinds and kind not in unable]
        if (here := sum(power.planted for power in found)) >= MIN_PLANTED:
            planted += here
            detected += sum(power.detected for power in found)
    return detected, planted
