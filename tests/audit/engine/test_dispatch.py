"""Shards are handed out until all are measured, whatever becomes of the workers."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest

from asr_gate.audit.engine.dispatch import AHEAD, LOSSES, Dispatcher, Done, Lost, Ready
from asr_gate.audit.engine.shards import Shard
from asr_gate.audit.engine.worker import Task
from asr_gate.audit.records.measured import Measured
from asr_gate.corpus.errors import UserError
from asr_gate.corpus.utterance import Utterance
from tests.audit.controls.rows import row


def tasks(how_many: int) -> Iterator[Task]:
    for number in range(how_many):
        one = Utterance(f"u{number}", "x", Path("a.wav"), "a.wav", "m:1")
        yield Task(Shard(number, [one]), {}, {}, {}, (), {})


class Workers:
    """A pool in which one thing happens a second."""

    def __init__(self, room: int, chance: float = 0.0, seed: int = 0) -> None:
        self.size, self.chance = room, chance
        self.rng = random.Random(seed)
        self.numbers = count()
        self.now = 0.0
        self.queues: dict[int, list[Task]] = {}
        self.ready: set[int] = set()
        self.stuck: set[int] = set()
        """Workers that never answer."""
        self.poison: int | None = None
        """A shard that ends whoever measures it."""
        self.stillborn = False
        self.given: Counter[int] = Counter()

    def room(self) -> int:
        return self.size

    def add(self) -> int:
        number = next(self.numbers)
        self.queues[number] = []
        return number

    def give(self, worker: int, task: Task) -> None:
        assert worker in self.ready
        self.queues[worker].append(task)
        assert len(self.queues[worker]) <= AHEAD, "back-pressure"
        self.given[task.shard.number] += 1

    def wait(self) -> Iterable[Ready | Done | Lost]:
        self.now += 1.0
        able = [one for one in sorted(self.queues) if one not in self.stuck]
        if not able:
            return
        worker = self.rng.choice(able)
        queue = self.queues[worker]
        ends = queue and queue[0].shard.number == self.poison
        if ends or self.stillborn or self.rng.random() < self.chance:
            del self.queues[worker]
            self.ready.discard(worker)
            yield Lost(worker, "gone")
        elif worker not in self.ready:
            self.ready.add(worker)
            yield Ready(worker)
        elif queue:
            task = queue.pop(0)
            yield Done(worker, task.shard.number, [replace(row(1), id=task.shard.rows[0].id)])


def measured(pool: Workers, how_many: int) -> list[Measured]:
    taken: list[Measured] = []
    Dispatcher(pool, tasks(how_many), how_many, taken.extend, lambda: pool.now).run()
    return taken


@pytest.mark.parametrize("seed", range(20))
def test_nothing_is_lost_and_nothing_counts_twice(seed: int) -> None:
    pool = Workers(room=4, chance=0.15, seed=seed)
    taken = measured(pool, 50)
    assert sorted(one.id for one in taken) == sorted(f"u{number}" for number in range(50))


def test_a_worker_that_never_answers_holds_nobody_up() -> None:
    pool = Workers(room=3)
    ask = pool.give

    def give(worker: int, task: Task) -> None:
        ask(worker, task)
        if task.shard.number == 2:
            pool.stuck = pool.stuck or {worker}

    pool.give = give  # type: ignore[method-assign]
    assert len(measured(pool, 12)) == 12
    assert pool.given[2] == 2
    assert sum(pool.given.values()) <= 12 + AHEAD


def test_a_shard_that_ends_every_worker_is_named() -> None:
    pool = Workers(room=2)
    pool.poison = 3
    with pytest.raises(UserError, match="u3"):
        measured(pool, 10)
    assert pool.given[3] >= LOSSES


def test_workers_that_never_begin_end_the_audit() -> None:
    pool = Workers(room=2)
    pool.stillborn = True
    with pytest.raises(UserError, match="gone"):
        measured(pool, 10)


def test_workers_are_no_more_than_shards_and_come_with_the_cluster() -> None:
    pool = Workers(room=100)
    measured(pool, 3)
    assert len(pool.queues) == 3
    pool = Workers(room=0)
    wait = pool.wait

    def grows() -> Iterable[Ready | Done | Lost]:
        pool.size = 2
        return wait()

    pool.wait = grows  # type: ignore[method-assign]
    assert len(measured(pool, 5)) == 5
