"""Measures shards on a Ray cluster: https://docs.ray.io.

Each worker is a Ray actor with a model of its own. The driver hands out shards and alone writes
what is measured, so that nodes need no disk in common beside that of the audio.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from typing import Any

from asr_gate.audit.engine.dispatch import Dispatcher, Done, Lost, Ready
from asr_gate.audit.engine.ledger import Ledger, Progress
from asr_gate.audit.engine.shards import Shard
from asr_gate.audit.engine.work import Work
from asr_gate.audit.engine.worker import Setup, Task, Worker, task_of
from asr_gate.audit.records.measured import Measured
from asr_gate.corpus.errors import UserError

LOOK_EVERY = 5.0
"""Seconds between two looks at how large the cluster is."""
CONNECT = 10.0
"""Seconds that a cluster has to answer at first."""
CLOSING = 5.0
"""Seconds that workers get to remove what they wrote."""
PATIENCE = 1.0
"""Seconds that are waited for news at most, before slow shards are looked for."""


@dataclass(frozen=True)
class RayOptions:
    """Where the cluster is, and what of it is used."""

    address: str | None = None
    """None: the one that RAY_ADDRESS names, or else one that is started on this machine."""
    workers: int | None = None
    """None: as many as there is room for, at any time."""
    gpus: float | None = None
    """Of a GPU, for each worker; None: a whole one, if the model runs on GPUs."""


class RayEngine:
    """Measures on a Ray cluster."""

    from_cache = 0

    def __init__(
        self, options: RayOptions, setup: Setup, work: Work, ledger: Ledger, progress: Progress
    ) -> None:
        """Prepare; `connected` is around it."""
        self._work = work
        self._ledger = ledger
        self._pool = RayPool(options, setup, progress)

    def measure(self, shards: Iterable[Shard]) -> list[Measured]:
        """As `Engine.measure`; shards are measured in any order."""
        ledger, work = self._ledger, self._work
        ledger.begin()
        shards = list(shards)
        left = [shard for shard in shards if shard.missing(ledger.rows)]
        tasks = (task_of(work, shard, ledger.rows) for shard in left)
        Dispatcher(self._pool, tasks, len(left), ledger.add).run()
        ledger.write()
        return [ledger.rows[row.id] for shard in shards for row in shard.rows]

    def stop(self) -> None:
        """End the workers."""
        self._ledger.close()
        self._pool.stop()


class RayPool:
    """Workers as Ray actors; see `dispatch.Pool`."""

    def __init__(self, options: RayOptions, setup: Setup, progress: Progress) -> None:
        """Prepare; see `RayEngine`."""
        self._options = options
        self._progress = progress
        self._numbers = count()
        self._actors: dict[int, Any] = {}
        self._waiting: dict[Any, tuple[int, int | None]] = {}
        """Worker and shard of each answer that is waited for; None: it loads its model."""
        self._kinds: set[tuple[str, ...]] = set()
        self._room = 0
        self._looked = -LOOK_EVERY
        import ray as imported

        ray: Any = imported
        self._ray = ray
        gpu = setup.device != "cpu"
        self._gpus = (1.0 if options.gpus is None else options.gpus) if gpu else 0.0
        self._cores = _cores(ray.nodes(), self._gpus)
        worker: Any = ray.remote(Worker)
        self._actor = worker.options(
            num_cpus=self._cores, num_gpus=self._gpus, max_restarts=0, max_task_retries=0
        )
        self._setup = ray.put(setup)

    def room(self) -> int:
        """See `dispatch.Pool`."""
        if self._options.workers:
            return self._options.workers
        if time.monotonic() - self._looked >= LOOK_EVERY:
            there = self._ray.cluster_resources()
            self._room = int(there.get("CPU", 0) // self._cores)
            if self._gpus:
                self._room = min(self._room, int(there.get("GPU", 0) / self._gpus + 1e-6))
            self._looked = time.monotonic()
        return self._room

    def add(self) -> int:
        """See `dispatch.Pool`."""
        number = next(self._numbers)
        self._actors[number] = actor = self._actor.remote(self._setup, self._cores)
        self._waiting[actor.open.remote()] = number, None
        return number

    def give(self, worker: int, task: Task) -> None:
        """See `dispatch.Pool`."""
        answer = self._actors[worker].measure.remote(task)
        self._waiting[answer] = worker, task.shard.number

    def wait(self) -> Iterable[Ready | Done | Lost]:
        """See `dispatch.Pool`.

        Raises:
            UserError: a worker cannot load the model, or the cluster is gone.
        """
        if not self._waiting:
            time.sleep(PATIENCE)
            return
        found, _ = self._ray.wait(list(self._waiting), num_returns=1, timeout=PATIENCE)
        for answer in found:
            if answer not in self._waiting:
                continue  # of a worker that was lost in between
            worker, shard = self._waiting.pop(answer)
            try:
                value = self._ray.get(answer)
            except self._ray.exceptions.RayTaskError as error:
                raise _of_worker(error) from error
            except self._ray.exceptions.RayError as error:
                yield self._lost(worker, error)
                continue
            if shard is None:
                self._note(tuple(value))
                yield Ready(worker)
            else:
                yield Done(worker, shard, value)

    def stop(self) -> None:
        """End the workers."""
        closed = [actor.close.remote() for actor in self._actors.values()]
        if closed:
            self._ray.wait(closed, num_returns=len(closed), timeout=CLOSING)
        for actor in self._actors.values():
            self._ray.kill(actor)
        self._actors, self._waiting = {}, {}

    def _lost(self, worker: int, error: Exception) -> Lost:
        # It may live on where nobody can reach it.
        self._ray.kill(self._actors.pop(worker))
        self._waiting = {a: (w, s) for a, (w, s) in self._waiting.items() if w != worker}
        self._looked = -LOOK_EVERY  # its machine may be gone
        reason = str(error).strip().splitlines()[0]
        self._progress.say(f"a worker was lost, and its shards are given to others: {reason}")
        return Lost(worker, reason)

    def _note(self, kind: tuple[str, ...]) -> None:
        self._kinds.add(kind)
        if len(self._kinds) == 2:
            self._progress.say(
                "WARNING: the machines have processors of different kinds, which compute other "
                "last digits: another run may end with another digest"
            )


@contextmanager
def connected(options: RayOptions | None) -> Iterator[None]:
    """Be connected to a cluster, if one is asked for.

    Raises:
        UserError: it cannot be reached.
        ModuleNotFoundError: Ray is not installed.
    """
    if options is None:
        yield
        return
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"  # of a cluster that is started here
    import ray

    own = not ray.is_initialized()
    if own:
        _connect(ray, options.address)
    try:
        yield
    finally:
        if own:
            ray.shutdown()


def _connect(ray: Any, address: str | None) -> None:
    handler = signal.getsignal(signal.SIGTERM)
    address = address or os.environ.get("RAY_ADDRESS") or None
    try:
        if address and (found := re.fullmatch(r"(.+):(\d{1,5})", address)):
            # Ray itself would try for minutes.
            socket.create_connection((found[1], int(found[2])), timeout=CONNECT).close()
        ray.init(address=address, log_to_driver=False, logging_level="ERROR")
    except (OSError, OverflowError, ValueError, RuntimeError) as error:
        where = address or "a cluster on this machine"
        reason = str(error).strip().splitlines()[0]
        raise UserError(
            f"--engine ray: cannot reach {where} ({reason}); start it with ray start --head, and "
            "name it with --address HOST:6379"
        ) from error
    finally:
        if handler is not None:
            signal.signal(signal.SIGTERM, handler)  # Ray puts its own there


def _cores(nodes: list[Any], gpus: float) -> int:
    """Cores of each worker: one, or its share of those that stand beside the GPUs."""
    shares = [
        node["Resources"].get("CPU", 0) * gpus / node["Resources"]["GPU"]
        for node in nodes
        if gpus and node["Alive"] and node["Resources"].get("GPU")
    ]
    return max(1, int(min(shares, default=1)))


def _of_worker(error: Any) -> Exception:
    """What a worker raised, as if it had been here."""
    cause = error.cause
    if isinstance(cause, UserError):
        return UserError(f"a worker on {error.ip}: {cause}")
    return cause if isinstance(cause, Exception) else error
