"""Simulated audits: coverage of the intervals, wrong decisions, and what stopping early saves.

    python -m bench.estimate [--audits 500] [--out docs/estimate.md]

Writes the tables of docs/estimate.md. Hearing is simulated here: an utterance is of low quality or
is not, and nothing is misjudged. The corpora are numbers of utterances; sampling, intervals,
schedule and decision are those of the audit.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from asr_gate.audit.decide.estimate import Interval, StratumCount, estimate
from asr_gate.audit.decide.sequential import look
from asr_gate.audit.decide.verdict import decide
from asr_gate.audit.policy import Policy, load_policy
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


@lru_cache(maxsize=200_000)
def _exact(size: int, sampled: int, low: int, confidence: float) -> Interval:
    return estimate([StratumCount(size, sampled, low)], confidence)


@dataclass
class Tally:
    """What many audits of one corpus came to."""

    audits: int = 0
    covered: int = 0
    domains: int = 0
    domains_covered: int = 0
    wrong: int = 0
    sampled: int = 0
    settled: int = 0


def fixed(corpus: Simulated, policy: Policy, quotas: bool, audits: int, seed: int) -> Tally:
    """Audits of a fixed sample."""
    rng = np.random.default_rng(seed)
    plan = _plan(corpus, policy, quotas)
    tally = Tally(sampled=sum(plan.values()))
    confidence = policy.decision.confidence
    for _ in range(audits):
        counts = {}
        for domain, size in corpus.sizes.items():
            bad = corpus.bad[domain]
            low = int(rng.hypergeometric(bad, size - bad, plan[domain]))
            counts[domain] = StratumCount(size, plan[domain], low)
        overall = estimate(list(counts.values()), confidence)
        each = {d: _exact(s.population, s.sampled, s.low, confidence) for d, s in counts.items()}
        tally.audits += 1
        tally.covered += _holds(overall, corpus.share)
        for domain, interval in each.items():
            tally.domains += 1
            tally.domains_covered += _holds(interval, corpus.bad[domain] / corpus.sizes[domain])
        tally.wrong += _wrong(decide(policy.decision, overall, each, 0.0).decision, corpus, policy)
    return tally


def until_decided(corpus: Simulated, policy: Policy, audits: int, seed: int) -> Tally:
    """Audits that stop when the decision is settled."""
    rng = np.random.default_rng(seed)
    plan = _plan(corpus, policy, quotas=True)
    tally = Tally()
    for _ in range(audits):
        in_random_order = {d: rng.permutation(n) < corpus.bad[d] for d, n in corpus.sizes.items()}
        schedule = Schedule(corpus.sizes, plan, policy.sampling.minimum, corpus.sizes)
        open_: tuple[str, ...] = ()
        while True:
            before = sum(schedule.sampled.values())
            for _ in range(PIECE):
                if schedule.next(open_) is None:
                    break
            sampled = sum(schedule.sampled.values())
            if not schedule.started:
                continue
            counts = {
                d: StratumCount(corpus.sizes[d], n, int(in_random_order[d][:n].sum()))
                for d, n in schedule.sampled.items()
            }
            found = look(counts, policy.decision)
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
        tally.wrong += _wrong(decision, corpus, policy)
    return tally


def _plan(corpus: Simulated, policy: Policy, quotas: bool) -> dict[str, int]:
    sampling = policy.sampling
    return allocate(
        corpus.sizes,
        fraction=sampling.fraction,
        quotas=sampling.quotas if quotas else {},
        minimum=sampling.minimum,
    )


def _holds(interval: Interval, truth: float) -> bool:
    return interval.low - 1e-9 <= truth <= interval.high + 1e-9


def _wrong(decision: Decision, corpus: Simulated, policy: Policy) -> bool:
    """PROCEED on a corpus above the upper threshold, or STOP on one below the lower."""
    share = 100 * corpus.share
    return (decision == "PROCEED" and share > policy.decision.stop_above) or (
        decision == "STOP" and share < policy.decision.proceed_below
    )


def main() -> None:
    """Simulate, print and write the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--audits", type=int, default=500, help="simulated audits of each corpus")
    parser.add_argument("--sequential", type=int, default=100, help="likewise, until decided")
    parser.add_argument("--out", type=Path, default=DOC, help="page whose tables to remake")
    options = parser.parse_args()
    policy = load_policy()
    coverage = ["| defects | corpus | quotas | covers, corpus | covers, domain | wrong decision |"]
    coverage.append("|---:|---|---|---:|---:|---:|")
    for number, rate in enumerate(RATES):
        for corpus in corpora(rate):
            for quotas in (False, True):
                if quotas and not set(policy.sampling.quotas) <= set(corpus.sizes):
                    continue
                found = fixed(corpus, policy, quotas, options.audits, seed=number)
                coverage.append(
                    f"| {rate:.0%} | {corpus.name} | {'yes' if quotas else 'no'} "
                    f"| {found.covered / found.audits:.1%} "
                    f"| {found.domains_covered / found.domains:.1%} "
                    f"| {found.wrong / found.audits:.1%} |"
                )
                print(coverage[-1], flush=True)
    stopping = [
        "| defects | corpus | sampled, of the fixed sample | settled | covers, corpus "
        "| covers, domain | wrong decision |",
        "|---:|---|---:|---:|---:|---:|---:|",
    ]
    for number, rate in enumerate(RATES):
        for corpus in corpora(rate):
            if corpus.sizes is SMALL:
                continue
            found = until_decided(corpus, policy, options.sequential, seed=number)
            sample = sum(_plan(corpus, policy, quotas=True).values())
            stopping.append(
                f"| {rate:.0%} | {corpus.name} | {found.sampled / found.audits / sample:.1%} "
                f"| {found.settled / found.audits:.0%} | {found.covered / found.audits:.1%} "
                f"| {found.domains_covered / found.domains:.1%} "
                f"| {found.wrong / found.audits:.1%} |"
            )
            print(stopping[-1], flush=True)
    for name, table in (("coverage", coverage), ("stopping", stopping)):
        replace_figures(options.out, name, "\n".join(table) + "\n")


if __name__ == "__main__":
    main()
