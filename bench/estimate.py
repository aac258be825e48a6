"""Simulated audits: coverage of the intervals, wrong decisions, and what stopping early saves.

    python -m bench.estimate [--audits 18] [--out docs/estimate.md]

Writes the tables of docs/estimate.md. Hearing is simulated here, and it errs: each audit finds a
part of the defects (its power, from 70 to 100 %) and takes some right transcripts for wrong ones
(its false alarms, up to 10 %), and knows of both only what its controls and its own evidence say.
The corpora are numbers of utterances; sampling, intervals, schedule and decision are those of the
audit.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.stats import norm

from asr_gate.audit.controls.false_alarms import false_alarms
from asr_gate.audit.decide.defects import MeasuredStratum, Power, defects
from asr_gate.audit.decide.estimate import Interval, StratumCount, wilson
from asr_gate.audit.decide.sequential import look
from asr_gate.audit.decide.verdict import decide
from asr_gate.audit.policy import Policy, load_policy
from asr_gate.audit.records.power import MIN_PLANTED
from asr_gate.audit.records.report import Decision
from asr_gate.audit.sample.plan import allocate
from asr_gate.audit.sample.sequential import Schedule
from bench.docs import replace_figures

RATES = (0.02, 0.05, 0.09, 0.12, 0.16, 0.25, 0.50)
LARGE = {"kan_clean": 12_000, "whatsapp_noisy": 9_000, "long_tail": 4_000}
SMALL = {"kan_clean": 300, "whatsapp_noisy": 150, "long_tail": 60}
MANY = {f"domain-{n}": 3_000 for n in range(8)}
PIECE = 40
"""Utterances between two looks: about four minutes of audio, as the audit reads them."""
POWER = (0.7, 1.0)
FALSE_ALARMS = (0.0, 0.1)
"""What simulated aligners may be like."""
USUAL = (0.95, 0.005)
"""Power and false alarms where only the stopping is looked at."""
DRAWS = 4_000
"""Of the interval; an audit takes more."""
DOC = Path("docs/estimate.md")


@dataclass(frozen=True)
class Simulated:
    """A corpus of utterances that are of low quality or not."""

    name: str
    sizes: Mapping[str, int]
    bad: Mapping[str, int]

    @property
    def share(self) -> float:
        """Of low quality."""
        return sum(self.bad.values()) / sum(self.sizes.values())


def corpora(rate: float) -> Iterator[Simulated]:
    """Corpora with about this share of defects, evenly spread and tilted between their domains."""
    for name, sizes in (("25,000 in 3", LARGE), ("24,000 in 8", MANY), ("510 in 3", SMALL)):
        for spread, tilts in (("even", (1.0, 1.0)), ("tilted", (0.4, 1.6))):
            tilt = np.linspace(*tilts, len(sizes))
            bad = {
                d: min(n, round(rate * t * n))
                for (d, n), t in zip(sizes.items(), tilt, strict=True)
            }
            yield Simulated(f"{name}, {spread}", sizes, bad)


@dataclass
class Tally:
    """What many audits of one corpus came to."""

    audits: int = 0
    covered: int = 0
    domains: int = 0
    domains_covered: int = 0
    untold: int = 0
    """Domains of which nothing could be told."""
    pairs: int = 0
    contradicting: int = 0
    """Of the pairs of audits of the same domains, those whose intervals have nothing in common."""
    wrong: int = 0
    width: float = 0.0
    """Of the intervals, in all."""
    sampled: int = 0
    settled: int = 0


def fixed(corpus: Simulated, policy: Policy, audits: int, seed: int) -> Tally:
    """Pairs of audits of a fixed sample, by aligners that err."""
    rng = np.random.default_rng(seed)
    tally = Tally()
    for _ in range(audits):
        one, other = (_audited(corpus, policy, rng, tally) for _ in range(2))
        if one is not None and other is not None and one[0] == other[0]:
            tally.pairs += 1
            tally.contradicting += one[1].high < other[1].low or other[1].high < one[1].low
    return tally


def _audited(
    corpus: Simulated, policy: Policy, rng: np.random.Generator, tally: Tally
) -> tuple[set[str], Interval] | None:
    """One audit: the domains that it judged, and the interval; None: nothing could be told."""
    plan = _plan(corpus, policy)
    power, alarms = rng.uniform(*POWER), rng.uniform(*FALSE_ALARMS)
    strata = {}
    for domain in corpus.sizes:
        stratum = _heard(corpus, domain, plan[domain], power, alarms, policy, rng)
        tally.domains += 1
        if _told(stratum, policy):
            strata[domain] = stratum
        else:
            tally.untold += 1
    if not strata:
        return None
    settings = policy.decision.confidence, policy.controls.false_alarm
    overall = defects(list(strata.values()), *settings, seed=0, draws=DRAWS)
    each = {d: defects([s], *settings, seed=0, draws=DRAWS) for d, s in strata.items()}
    truth = sum(corpus.bad[d] for d in strata) / sum(corpus.sizes[d] for d in strata)
    tally.audits += 1
    tally.covered += _holds(overall, truth)
    tally.width += overall.high - overall.low
    for domain, interval in each.items():
        tally.domains_covered += _holds(interval, corpus.bad[domain] / corpus.sizes[domain])
    tally.wrong += _wrong(decide(policy.decision, overall, each, 0.0).decision, truth, policy)
    return set(strata), overall


def _heard(
    corpus: Simulated,
    domain: str,
    sampled: int,
    power: float,
    alarms: float,
    policy: Policy,
    rng: np.random.Generator,
) -> MeasuredStratum:
    """A domain as one audit finds it, by the evidence of right, wrong and planted ones."""
    size, bad = corpus.sizes[domain], corpus.bad[domain]
    wrong = int(rng.hypergeometric(bad, size - bad, sampled))
    threshold = norm.isf(alarms)
    centre = threshold + norm.ppf(power)
    natural = np.concatenate([rng.normal(centre, 1, wrong), rng.normal(0, 1, sampled - wrong)])
    planted = rng.normal(centre, 1, min(sampled, policy.controls.per_kind // len(corpus.sizes)))
    return MeasuredStratum(
        StratumCount(size, sampled, int((natural > threshold).sum())),
        Power(
            int((planted > threshold).sum()),
            len(planted),
            false_alarms(natural, planted, threshold),
        ),
    )


def _told(stratum: MeasuredStratum, policy: Policy) -> bool:
    """Whether an audit judges the domain (`controls.untold`)."""
    power = stratum.power
    enough = wilson(power.detected, power.planted, 0.95).high >= policy.controls.min_power_swapped
    return enough and power.false_alarms <= policy.controls.max_false_alarm


def until_decided(corpus: Simulated, policy: Policy, audits: int, seed: int) -> Tally:
    """Audits that stop when the decision is settled."""
    rng = np.random.default_rng(seed)
    plan = _plan(corpus, policy)
    tally = Tally()
    power, alarms = USUAL
    for _ in range(audits):
        bad = {d: rng.permutation(n) < corpus.bad[d] for d, n in corpus.sizes.items()}
        passing = {
            d: rng.random(n) < np.where(bad[d], power, alarms) for d, n in corpus.sizes.items()
        }
        detected = {d: rng.random(n) < power for d, n in corpus.sizes.items()}
        minimum = min(policy.sampling.minimum, MIN_PLANTED)
        schedule = Schedule(corpus.sizes, plan, minimum, corpus.sizes)
        open_: tuple[str, ...] = ()
        while True:
            before = sum(schedule.sampled.values())
            for _ in range(PIECE):
                if schedule.next(open_) is None:
                    break
            sampled = sum(schedule.sampled.values())
            if not schedule.started:
                continue
            strata = {
                d: MeasuredStratum(
                    StratumCount(corpus.sizes[d], n, int(passing[d][:n].sum())),
                    Power(int(detected[d][:n].sum()), n, alarms),
                )
                for d, n in schedule.sampled.items()
            }
            total = Power(sum(s.power.detected for s in strata.values()), sampled, alarms)
            found = look(strata, total, policy)
            if found.settled or sampled == before:
                break
            open_ = found.open
        assert sampled <= schedule.budget
        tally.audits += 1
        tally.sampled += sampled
        tally.settled += found.settled is not None
        tally.covered += _holds(found.overall, corpus.share)
        for domain, interval in found.domains.items():
            tally.domains += 1
            tally.domains_covered += _holds(interval, corpus.bad[domain] / corpus.sizes[domain])
        decision = decide(policy.decision, found.overall, found.domains, 0.0).decision
        tally.wrong += _wrong(decision, corpus.share, policy)
    return tally


def _plan(corpus: Simulated, policy: Policy) -> dict[str, int]:
    sampling = policy.sampling
    return allocate(
        corpus.sizes,
        fraction=sampling.fraction,
        quotas=sampling.quotas if set(sampling.quotas) <= set(corpus.sizes) else {},
        minimum=sampling.minimum,
    )


def _holds(interval: Interval, truth: float) -> bool:
    return interval.low - 1e-9 <= truth <= interval.high + 1e-9


def _wrong(decision: Decision, truth: float, policy: Policy) -> bool:
    """PROCEED on a corpus above the upper threshold, or STOP on one below the lower."""
    share = 100 * truth
    return (decision == "PROCEED" and share > policy.decision.stop_above) or (
        decision == "STOP" and share < policy.decision.proceed_below
    )


def main() -> None:
    """Simulate, print and write the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--audits", type=int, default=18, help="pairs of audits of each corpus")
    parser.add_argument("--sequential", type=int, default=10, help="audits until decided, likewise")
    parser.add_argument("--out", type=Path, default=DOC, help="page whose tables to remake")
    options = parser.parse_args()
    policy = load_policy()
    replace_figures(options.out, "coverage", _coverage(policy, options.audits))
    replace_figures(options.out, "stopping", _stopping(policy, options.sequential))


def _coverage(policy: Policy, audits: int) -> str:
    lines = [
        "| defects | corpus | covers, corpus | covers, domain | contradict each other "
        "| wrong decision | width, points | domains not judged |",
        "|---:|---|---:|---:|---:|---:|---:|---:|",
    ]
    whole = Tally()
    for number, rate in enumerate(RATES):
        for corpus in corpora(rate):
            if corpus.sizes is MANY:
                continue
            found = fixed(corpus, policy, audits, seed=number)
            lines.append(_line(f"{rate:.0%}", corpus.name, found))
            print(lines[-1], flush=True)
            for field in vars(whole):
                setattr(whole, field, getattr(whole, field) + getattr(found, field))
    simulated = 2 * audits * (len(lines) - 2)
    lines.append(_line("all", f"{simulated:,} audits, {whole.audits:,} with a verdict", whole))
    return "\n".join(lines) + "\n"


def _line(rate: str, name: str, found: Tally) -> str:
    told = found.domains - found.untold
    return (
        f"| {rate} | {name} | {found.covered / found.audits:.1%} "
        f"| {found.domains_covered / told:.1%} | {found.contradicting / max(1, found.pairs):.1%} "
        f"| {found.wrong / found.audits:.1%} | {100 * found.width / found.audits:.1f} "
        f"| {found.untold / found.domains:.0%} |"
    )


def _stopping(policy: Policy, audits: int) -> str:
    lines = [
        "| defects | corpus | sampled, of the fixed sample | settled | covers, corpus "
        "| covers, domain | wrong decision |",
        "|---:|---|---:|---:|---:|---:|---:|",
    ]
    for number, rate in enumerate(RATES):
        for corpus in corpora(rate):
            if corpus.sizes is SMALL:
                continue
            found = until_decided(corpus, policy, audits, seed=number)
            sample = sum(_plan(corpus, policy).values())
            lines.append(
                f"| {rate:.0%} | {corpus.name} | {found.sampled / found.audits / sample:.1%} "
                f"| {found.settled / found.audits:.0%} | {found.covered / found.audits:.1%} "
                f"| {found.domains_covered / found.domains:.1%} "
                f"| {found.wrong / found.audits:.1%} |"
            )
            print(lines[-1], flush=True)
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
