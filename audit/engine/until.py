"""Hear until the decision is settled."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from asr_gate.audit.engine.assess import Assessor
from asr_gate.audit.gate.estimate import StratumCount
from asr_gate.audit.gate.policy import Policy
from asr_gate.audit.gate.sequential import Ended, Look, Schedule, look
from asr_gate.audit.measured import Measured
from asr_gate.audit.plan import Plan, Stratum, in_random_order
from asr_gate.audit.report.build import low_quality_ids
from asr_gate.corpus.speech.audio import stored_duration
from asr_gate.corpus.utterance import Corpus, Seconds, Utterance

RESERVE = 200
"""Utterances of a domain that may be heard beyond the plan's share, to settle a small domain."""


class Deciding:
    """Chooses what is heard next, and when it is enough."""

    def __init__(
        self,
        corpus: Corpus,
        plan: Plan,
        assessor: Assessor,
        policy: Policy,
        rows: Sequence[Measured],
        seconds: Seconds,
    ) -> None:
        """Prepare.

        Args:
            corpus: the corpus.
            plan: of the fixed sample that is the budget.
            assessor: judges what was heard.
            policy: of the decision.
            rows: what was heard so far; grows while `pieces` is run through.
            seconds: of audio between two looks, about.
        """
        populations = {domain: s.population for domain, s in plan.strata.items()}
        sizes = {domain: s.sampled for domain, s in plan.strata.items()}
        reserve = {d: min(n, max(sizes[d], RESERVE)) for d, n in populations.items()}
        self._order = in_random_order(corpus.utterances, seed=plan.seed, sizes=reserve)
        self._schedule = Schedule(populations, sizes, policy.sampling.minimum, reserve)
        self._plan = plan
        self._assessor = assessor
        self._policy = policy
        self._rows = rows
        self._seconds = seconds
        self._looks: list[Look] = []

    @property
    def pool(self) -> list[Utterance]:
        """All that may be heard."""
        return [u for members in self._order.values() for u in members]

    def pieces(self) -> Iterator[list[Utterance]]:
        """What to hear, piece by piece; the next one follows from what the earlier ones said."""
        left: tuple[str, ...] = ()
        while piece := self._piece(left):
            yield piece
            if self._schedule.started:
                self._looks.append(self._look())
                if self._looks[-1].settled:
                    return
                left = self._looks[-1].open

    def _piece(self, left: tuple[str, ...]) -> list[Utterance]:
        piece: list[Utterance] = []
        length = 0.0
        while length < self._seconds:
            domain = self._schedule.next(left)
            if domain is None:
                break
            utterance = self._order[domain][self._schedule.heard[domain] - 1]
            piece.append(utterance)
            length += stored_duration(utterance) or 0.0
        return piece

    def _look(self) -> Look:
        assessed = self._assessor.assess(self._rows, errors_only=True)
        low = low_quality_ids(assessed.findings)
        heard = Counter(row.domain for row in assessed.rows)
        bad = Counter(row.domain for row in assessed.rows if row.id in low)
        populations = self._schedule.populations
        counts = {d: StratumCount(n, heard[d], bad[d]) for d, n in populations.items()}
        return look(counts, self._policy.decision)

    @property
    def ended(self) -> Ended:
        """How it ended."""
        return Ended(self._looks[-1], len(self._looks), self._schedule.budget)

    def plan(self) -> Plan:
        """What was heard, as a plan."""
        heard = {row.id for row in self._rows}
        sample = sorted((u for u in self.pool if u.id in heard), key=lambda u: (u.domain, u.id))
        strata = {
            domain: Stratum(self._schedule.populations[domain], count)
            for domain, count in self._schedule.heard.items()
        }
        return Plan(sample, strata, self._plan.seed, self._plan.fraction)
