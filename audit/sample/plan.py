"""The sampling plan: a stratified random sample of the corpus, with the weight of each stratum."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

from asr_gate.audit.sample.lot import lot
from asr_gate.corpus.rows import columns
from asr_gate.corpus.utterance import Utterance

SPARE = 1000
"""Utterances of a domain beyond those wanted, before the least likely are let go."""


@dataclass(frozen=True, slots=True)
class Stratum:
    """One domain of the plan."""

    population: int
    """Utterances of the domain in the corpus."""
    sampled: int
    """Utterances of the domain in the sample."""

    @property
    def weight(self) -> float:
        """How many utterances of the corpus each sampled one stands for."""
        return self.population / self.sampled


@dataclass(frozen=True)
class Plan:
    """Which utterances are audited."""

    sample: list[Utterance]
    """By domain, then by id: the order of the corpus decides nothing."""
    strata: dict[str, Stratum]
    seed: int
    fraction: float
    content: str
    """Digest of the corpus that it was drawn from."""


def draw(
    utterances: Sequence[Utterance],
    *,
    fraction: float,
    seed: int,
    quotas: Mapping[str, float],
    minimum: int,
    content: str,
) -> Plan:
    """Draw a sample, stratified by domain, without replacement.

    Every domain gets its share of the corpus, except that domains with a quota, where all of them
    exist, divide what the others leave by their quotas; and every domain gets at least `minimum`
    utterances where it has so many. Estimates weigh each domain by its population, so that
    neither quotas nor minimum bias them.

    Args:
        utterances: the corpus.
        fraction: share of the corpus to hear, in (0, 1].
        seed: the same seed draws the same sample from the same corpus.
        quotas: share of the sample by domain, summing to 1.
        minimum: least sample of a domain.
        content: digest of the corpus. A corpus that has changed is drawn anew: rows that were
            found in a sample and put right would else stand for those that nobody has looked at.
    """
    found = Counter(domain for (domain,) in columns(utterances, "domain"))
    counts = {domain: found[domain] for domain in sorted(found)}
    sizes = allocate(counts, fraction=fraction, quotas=quotas, minimum=minimum)
    sample: list[Utterance] = []
    for chosen in _chosen(utterances, sizes, content, seed).values():
        sample.extend(sorted(chosen, key=lambda utterance: utterance.id))
    strata = {domain: Stratum(counts[domain], size) for domain, size in sizes.items()}
    return Plan(sample, strata, seed, fraction, content)


def in_random_order(
    utterances: Sequence[Utterance], plan: Plan, sizes: Mapping[str, int]
) -> dict[str, list[Utterance]]:
    """So many utterances of each domain, in the random order in which they are to be heard.

    Args:
        utterances: the corpus.
        plan: its seed and its corpus decide the order.
        sizes: by domain, at most its population.
    """
    return _chosen(utterances, sizes, plan.content, plan.seed)


def _chosen(
    utterances: Sequence[Utterance], sizes: Mapping[str, int], content: str, seed: int
) -> dict[str, list[Utterance]]:
    """A random sample of each domain, in random order."""
    last: dict[str, tuple[int, str]] = {}
    drawn: dict[str, list[tuple[int, str, int]]] = {domain: [] for domain in sizes}
    for number, (identity, domain) in enumerate(columns(utterances, "id", "domain")):
        one = lot(content, seed, domain, identity), identity, number
        members = drawn[domain]
        if domain not in last or one[:2] < last[domain]:
            members.append(one)
        # Those that cannot be chosen any more go, now and then.
        if len(members) > 2 * sizes[domain] + SPARE:
            members.sort()
            del members[sizes[domain] :]
            last[domain] = members[-1][:2] if members else (-1, "")
    numbers = {
        domain: [n for *_, n in sorted(drawn[domain])[:size]] for domain, size in sizes.items()
    }
    # In the order of the corpus, as it is read.
    rows = {number: utterances[number] for number in sorted(chain(*numbers.values()))}
    return {domain: [rows[number] for number in chosen] for domain, chosen in numbers.items()}


def allocate(
    counts: Mapping[str, int], *, fraction: float, quotas: Mapping[str, float], minimum: int
) -> dict[str, int]:
    """How many utterances of each domain to hear; see `draw`."""
    total = sum(counts.values())
    wanted = math.ceil(fraction * total)
    shares = {domain: count / total for domain, count in counts.items()}
    if quotas and all(domain in counts for domain in quotas):
        left = sum(shares[domain] for domain in quotas)
        shares.update({domain: left * quota for domain, quota in quotas.items()})
    sizes = {
        domain: min(count, max(round(shares[domain] * wanted), min(minimum, count)))
        for domain, count in counts.items()
    }
    # What a small domain could not fill of its quota goes to those that have more.
    while (missing := wanted - sum(sizes.values())) > 0:
        room = {d: counts[d] - size for d, size in sizes.items() if counts[d] > size}
        domain = max(room, key=lambda d: (shares[d] / (sizes[d] + 1), room[d]))
        sizes[domain] += min(room[domain], max(1, round(missing * shares[domain])))
    return sizes
