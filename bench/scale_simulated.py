"""How long audits of 10 to 1,000,000 hours take on 1 to 1,000 workers: simulated, not run.

The dispatcher is the real one; workers, their losses and the clock are simulated. What one worker
measures in an hour of real time is measured here first (`asr audit --dry-run`, one core), unless
`--rate` says it. Writes `docs/scale.md`.

Run: python -m bench.scale_simulated [--rate 40 --named "an A100, mms"]
"""

from __future__ import annotations

import argparse
import heapq
import os
import random
import tempfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from asr_gate.audit.engine.dispatch import Dispatcher, Done, Lost, Ready
from asr_gate.audit.engine.shards import BATCHES, Shard
from asr_gate.audit.engine.worker import Task
from asr_gate.audit.records.measured import Measured
from asr_gate.corpus.utterance import Utterance
from bench.docs import replace_figures

PAGE = Path(__file__).parents[1] / "docs" / "scale.md"
HOURS = (10, 100, 1_000, 10_000, 100_000, 1_000_000)
WORKERS = (1, 10, 100, 1_000)
MOST_SHARDS = 10
"""For each worker; what is more of them goes on at the pace of these."""
LEAST_SHARDS = 400
HOUR = 3600.0


@dataclass(frozen=True)
class World:
    """What the simulation takes for granted; times in seconds."""

    rate: float
    """Seconds of audio that one worker measures in a second."""
    shard: float = BATCHES * 60.0
    """Audio in a shard."""
    spread: float = 0.2
    """Standard deviation of the logarithm of a shard's time."""
    start: float = 60.0
    """From asking for a worker to its loaded model."""
    loss: float = 24 * HOUR
    """A worker is lost after so long in the mean, at random, as machines are that can be taken
    away; another one takes its place."""
    slow: float = 0.02
    """Share of the workers that take three times as long."""
    driver: float = 0.05
    """Of the driver for each shard: one after the other."""
    price: float = 1.0
    """Of a worker's hour."""


class Cluster:
    """Workers whose time passes when the dispatcher waits: a pool as `Dispatcher` knows it."""

    def __init__(self, size: int, world: World, seed: int) -> None:
        self.size, self.world = size, world
        self.rng = random.Random(seed)
        self.now = self.busy = self.paid = 0.0
        self.losses = 0
        self.done: list[float] = []
        """When shards were taken."""
        self._events: list[tuple[float, int, str, int]] = []
        self._order = count()
        self._numbers = count()
        self._since: dict[int, float] = {}
        self._pace: dict[int, float] = {}
        self._queues: dict[int, list[Task]] = {}

    def room(self) -> int:
        """As many as there are machines."""
        return self.size

    def add(self) -> int:
        """A worker that is ready after a while, and lost some day."""
        worker, world = next(self._numbers), self.world
        self._since[worker] = self.now
        self._pace[worker] = 3.0 if self.rng.random() < world.slow else 1.0
        self._queues[worker] = []
        self._at(self.now + world.start, "ready", worker)
        self._at(self.now + self.rng.expovariate(1 / world.loss), "lost", worker)
        return worker

    def give(self, worker: int, task: Task) -> None:
        """Queue a shard."""
        self._queues[worker].append(task)
        if len(self._queues[worker]) == 1:
            self._begin(worker)

    def wait(self) -> Iterable[Ready | Done | Lost]:
        """What happens next."""
        when, _, what, worker = heapq.heappop(self._events)
        if worker not in self._queues:
            return
        self.now = max(self.now, when)
        if what == "ready":
            yield Ready(worker)
        elif what == "lost":
            self.losses += 1
            self._leave(worker)
            yield Lost(worker, "taken away")
        else:
            task = self._queues[worker].pop(0)
            # The driver takes one after the other.
            self.busy = max(self.busy, self.now) + self.world.driver
            self.now = self.busy
            self.done.append(self.now)
            if self._queues[worker]:
                self._begin(worker)
            yield Done(worker, task.shard.number, [])

    def leave(self) -> None:
        """All go."""
        for worker in list(self._queues):
            self._leave(worker)

    def _leave(self, worker: int) -> None:
        del self._queues[worker]
        self.paid += self.now - self._since.pop(worker)

    def _begin(self, worker: int) -> None:
        world = self.world
        spread = self.rng.lognormvariate(-(world.spread**2) / 2, world.spread)
        self._at(self.now + world.shard / world.rate * spread * self._pace[worker], "done", worker)

    def _at(self, when: float, what: str, worker: int) -> None:
        heapq.heappush(self._events, (when, next(self._order), what, worker))


@dataclass(frozen=True)
class Outcome:
    """Of one audit; times in seconds."""

    took: float
    cost: float
    losses: float


def _tasks(how_many: int) -> Iterator[Task]:
    row = Utterance("u", "x", Path(), "", "")
    for number in range(how_many):
        yield Task(Shard(number, [row]), {}, {}, {}, (), {})


def simulate(hours: float, workers: int, world: World, seed: int = 0) -> Outcome:
    """One audit that hears so many hours.

    Where a worker has many shards, the first ones are simulated, and the rest goes on as these did:
    starts and stragglers count once.
    """
    shards = max(1, round(hours * HOUR / world.shard))
    simulated = min(shards, max(LEAST_SHARDS, MOST_SHARDS * workers))
    cluster = Cluster(workers, world, seed)
    taken: list[Measured] = []
    Dispatcher(cluster, _tasks(simulated), simulated, taken.extend, lambda: cluster.now).run()
    cluster.leave()
    took, paid, losses = cluster.now, cluster.paid, float(cluster.losses)
    if shards > simulated:
        middle = cluster.done[simulated // 2]
        early = cluster.done[simulated // 4]
        pace = (middle - early) / (simulated // 2 - simulated // 4)
        more = (shards - simulated) * pace
        took, paid = took + more, paid + more * workers
        losses += more * workers / world.loss
    return Outcome(took, paid / HOUR * world.price, losses)


def table(world: World) -> str:
    """Time, cost and lost workers, for each size of corpus and cluster."""
    lines = ["| hours heard |" + "".join(f" {w:,} workers |" for w in WORKERS) + "\n"]
    lines[0] = lines[0].replace("| 1 workers", "| 1 worker")
    lines.append("|---:|" + "---|" * len(WORKERS) + "\n")
    for hours in HOURS:
        cells = []
        for workers in WORKERS:
            found = simulate(hours, workers, world)
            cells.append(f" {_time(found.took)}; {found.cost:,.1f}; {found.losses:,.0f} |")
        lines.append(f"| {hours:,} |" + "".join(cells) + "\n")
        print(lines[-1], end="", flush=True)
    return "".join(lines)


def _time(seconds: float) -> str:
    for size, unit in ((365 * 24 * HOUR, "years"), (24 * HOUR, "d"), (HOUR, "h"), (60.0, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:,.1f} {unit}"
    return f"{seconds:.0f} s"


def measured_rate() -> float:
    """Of the embedded model on one core of this machine, on the bundled corpus, with controls."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:1])
    from asr_gate.audit.pipeline import Settings
    from asr_gate.audit.policy import load_policy
    from asr_gate.audit.preview import preview
    from asr_gate.corpus.read import read_corpus
    from bench.incremental import bundled, write
    from bench.scale import Watch

    with tempfile.TemporaryDirectory() as folder:
        manifest = Path(folder) / "manifest.jsonl"
        write(bundled(), manifest)
        settings = Settings(
            name="rate", out=Path(folder), aligner="embedded", language="en",
            policy=load_policy(None), fraction=1.0, seed=0, resume=False, device="cpu",
            batch_seconds=60.0, cache=False,
        )  # fmt: skip
        corpus = read_corpus([str(manifest)], audio_root=Path("/"))
        return preview(corpus, settings, Watch(), began=time.monotonic(), price=None).rate


def main() -> None:
    """Measure a rate, simulate, and write the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rate", type=float, help="seconds of audio a second of one worker")
    parser.add_argument("--named", help="which worker that is")
    given = parser.parse_args()
    rate = given.rate or measured_rate()
    named = given.named or "the embedded model on one core of this machine, measured first"
    if given.rate and not given.named:
        parser.error("--rate needs --named: whose rate it is")
    world = World(rate=rate)
    figures = table(world)
    about = (
        f"\nEach cell: time; cost at {world.price:g} a worker's hour; workers lost. "
        f"**Measured:** one worker hears {rate:.1f} x real time ({named}). **Assumed:** shards of "
        f"{world.shard / 60:.0f} min of audio whose times differ by {100 * world.spread:.0f} %; "
        f"{world.start:.0f} s until a worker is ready; each is lost once in "
        f"{world.loss / HOUR:.0f} hours at random, and replaced; {100 * world.slow:.0f} % of the "
        f"workers take three times as long; the driver takes {1000 * world.driver:.0f} ms a shard, "
        "one after the other. Plan and report are not in it, nor is what storage can deliver. "
        f"Beyond {MOST_SHARDS} shards a worker, the rest goes on at their pace.\n"
    )
    print(about)
    replace_figures(PAGE, "simulated", figures + about)


if __name__ == "__main__":
    main()
