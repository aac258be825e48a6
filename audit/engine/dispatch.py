"""Hands shards out to workers that come and go, until all are measured.

A worker that is lost gives its shards back; a shard that takes long is given to a second worker
when there is nothing else to do, and whoever is first counts: both measure the same.
"""

from __future__ import annotations

import statistics
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

from asr_gate.audit.engine.worker import Task
from asr_gate.audit.records.measured import Measured
from asr_gate.corpus.errors import UserError

AHEAD = 2
"""Shards that a worker has at most: one that it measures, and the next, so that it never waits."""
SLOW = 2.0
"""Times the usual, after which a shard is given to a second worker, if one has nothing to do."""
LOSSES = 5
"""Workers lost on one shard after which the audit ends: it may be the shard that ends them."""


@dataclass(frozen=True, slots=True)
class Ready:
    """A worker has loaded its model."""

    worker: int


@dataclass(frozen=True, slots=True)
class Done:
    """A worker has measured a shard."""

    worker: int
    shard: int
    rows: list[Measured]


@dataclass(frozen=True, slots=True)
class Lost:
    """A worker has ended, or its machine has."""

    worker: int
    reason: str


class Pool(Protocol):
    """Workers, wherever they are."""

    def room(self) -> int:
        """How many workers there may be now."""

    def add(self) -> int:
        """Start one more, and do not wait for it; its number."""

    def give(self, worker: int, task: Task) -> None:
        """Queue a shard at a worker that is ready."""

    def wait(self) -> Iterable[Ready | Done | Lost]:
        """What has happened; empty after a while."""


@dataclass
class _UnderWay:
    task: Task
    since: float
    workers: set[int] = field(default_factory=set)


class Dispatcher:
    """Who measures what."""

    def __init__(
        self,
        pool: Pool,
        tasks: Iterator[Task],
        count: int,
        take: Callable[[list[Measured]], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepare.

        Args:
            pool: the workers.
            tasks: made as they are needed, since all of them may not fit into memory.
            count: how many there are.
            take: called with the measurements of each shard once.
            clock: seconds.
        """
        self._pool = pool
        self._tasks = tasks
        self._left = count
        self._take = take
        self._clock = clock
        self._again: deque[Task] = deque()
        self._queues: dict[int, list[int]] = {}
        """Shards of each worker, in their order; of those that are not ready none."""
        self._ready: set[int] = set()
        self._under_way: dict[int, _UnderWay] = {}
        self._times: deque[float] = deque(maxlen=100)
        self._losses: Counter[int] = Counter()
        self._stillborn = 0
        """Workers lost in a row before they were ready."""

    def run(self) -> None:
        """Until all shards are measured.

        Raises:
            UserError: workers are lost again and again.
        """
        while self._left:
            while len(self._queues) < min(self._pool.room(), self._left):
                self._queues[self._pool.add()] = []
            self._assign()
            for event in self._pool.wait():
                match event:
                    case Ready(worker):
                        self._ready.add(worker)
                        self._stillborn = 0
                    case Done(worker, shard, rows):
                        self._done(worker, shard, rows)
                    case Lost(worker, reason):
                        self._lost(worker, reason)

    def _assign(self) -> None:
        for length in range(AHEAD):  # whoever has nothing to do comes first
            for worker in sorted(w for w in self._ready if len(self._queues[w]) == length):
                task = self._again.popleft() if self._again else next(self._tasks, None)
                if task is None and not length:
                    task = self._slowest()
                if task is None:
                    return
                self._give(worker, task)

    def _give(self, worker: int, task: Task) -> None:
        number = task.shard.number
        under_way = self._under_way.setdefault(number, _UnderWay(task, self._clock()))
        under_way.workers.add(worker)
        self._queues[worker].append(number)
        self._pool.give(worker, task)

    def _slowest(self) -> Task | None:
        """A shard that takes much longer than usual, or waits behind one that does."""
        alone = [one for one in self._under_way.values() if len(one.workers) == 1]
        if not alone or not self._times:
            return None
        oldest = min(alone, key=lambda one: one.since)
        usual = statistics.median(self._times)
        return oldest.task if self._clock() - oldest.since > SLOW * usual else None

    def _done(self, worker: int, shard: int, rows: list[Measured]) -> None:
        if shard in self._queues.get(worker, ()):
            self._queues[worker].remove(shard)
        found = self._under_way.pop(shard, None)
        if found is not None:
            self._times.append(self._clock() - found.since)
            self._left -= 1
            self._take(rows)

    def _lost(self, worker: int, reason: str) -> None:
        if worker not in self._ready:
            self._stillborn += 1
        self._ready.discard(worker)
        shards = self._queues.pop(worker, [])
        if shards and (measured := self._under_way.get(shards[0])) is not None:
            self._losses[shards[0]] += 1
            if self._losses[shards[0]] >= LOSSES:
                first = measured.task.shard.rows[0].id
                raise UserError(
                    f"{LOSSES} workers were lost while they measured the shard that begins with "
                    f"{first}; the last one: {reason}"
                )
        for shard in shards:
            if (found := self._under_way.get(shard)) is not None:
                found.workers.discard(worker)
                if not found.workers:
                    self._again.append(self._under_way.pop(shard).task)
        if self._stillborn >= LOSSES * max(1, self._pool.room()):
            raise UserError(f"workers end before they measure anything: {reason}")
