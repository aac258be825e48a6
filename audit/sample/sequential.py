"""The order in which utterances are audited until the decision is settled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from asr_gate.audit.sample.plan import Plan, Stratum, in_random_order
from asr_gate.corpus.utterance import Seconds, Utterance

RESERVE = 200
"""Utterances of a domain that may be audited beyond the plan's share, to settle a small domain."""


@dataclass
class Schedule:
    """Which domain to take an utterance from next.

    First a minimum of each domain; then in the proportions of the plan while the share in the whole
    corpus is open; then only from the domains that leave the decision open.
    """

    populations: Mapping[str, int]
    plan: Mapping[str, int]
    """How many of each domain a fixed sample of this budget would hold."""
    minimum: int
    reserve: Mapping[str, int]
    """How many of each domain may be sampled."""
    sampled: dict[str, int] = field(init=False)

    def __post_init__(self) -> None:
        self.sampled = dict.fromkeys(self.populations, 0)

    @property
    def budget(self) -> int:
        """How many may be sampled in all."""
        return sum(self.plan.values())

    @property
    def started(self) -> bool:
        """Whether every domain's minimum is sampled, so that a look means something."""
        return all(
            self.sampled[d] >= min(self.minimum, self.reserve[d], self.plan[d])
            for d in self.sampled
        )

    def next(self, still_open: tuple[str, ...]) -> str | None:
        """The domain of the next utterance, which then counts as sampled; None: no more.

        Args:
            still_open: domains that leave the decision open; empty: the corpus as a whole does.
        """
        if sum(self.sampled.values()) >= self.budget:
            return None
        room = [d for d in still_open or self.sampled if self.sampled[d] < self.reserve[d]]
        if not room:
            return None
        if not self.started:
            first = [d for d in room if self.sampled[d] < min(self.minimum, self.plan[d])]
            chosen = min(first, key=lambda d: self.sampled[d])
        elif still_open:
            chosen = min(room, key=lambda d: self.sampled[d])
        else:
            chosen = min(room, key=lambda d: (self.sampled[d] + 1) / self.plan[d])
        self.sampled[chosen] += 1
        return chosen


class SequentialSample:
    """Utterances in random order within their domains, group after group."""

    def __init__(self, utterances: Sequence[Utterance], plan: Plan, *, minimum: int) -> None:
        """Prepare the order.

        Args:
            utterances: the corpus.
            plan: the fixed sample that is the budget.
            minimum: least utterances of each domain before anything is decided.
        """
        populations = {domain: s.population for domain, s in plan.strata.items()}
        sizes = {domain: s.sampled for domain, s in plan.strata.items()}
        reserve = {d: min(n, max(sizes[d], RESERVE)) for d, n in populations.items()}
        self._order = in_random_order(utterances, plan, reserve)
        self._plan = plan
        self.schedule = Schedule(populations, sizes, minimum, reserve)

    @property
    def pool(self) -> list[Utterance]:
        """All utterances that may be sampled."""
        return [u for members in self._order.values() for u in members]

    def next_group(
        self,
        still_open: tuple[str, ...],
        seconds: Seconds,
        lengths: Mapping[str, Seconds],
    ) -> list[Utterance]:
        """About so much audio to audit next; empty: the budget ends.

        Args:
            still_open: as for `Schedule.next`.
            seconds: audio in a group.
            lengths: of the utterances by id, 0 where it is not known.
        """
        group: list[Utterance] = []
        total = 0.0
        while total < seconds and (domain := self.schedule.next(still_open)) is not None:
            utterance = self._order[domain][self.schedule.sampled[domain] - 1]
            group.append(utterance)
            total += lengths[utterance.id]
        return group

    def plan(self) -> Plan:
        """What was sampled so far, as a plan."""
        sampled = self.schedule.sampled
        chosen = [u for domain, members in self._order.items() for u in members[: sampled[domain]]]
        strata = {
            domain: Stratum(self.schedule.populations[domain], count)
            for domain, count in sampled.items()
        }
        return Plan(
            sorted(chosen, key=lambda u: (u.domain, u.id)),
            strata,
            self._plan.seed,
            self._plan.fraction,
            self._plan.content,
        )
