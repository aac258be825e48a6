"""Audits that are killed at random moments: does each of them end with the digest of a whole one?

Processes are ended with `kill -9` at moments drawn by lot and started again, until they end by
themselves: audits by one process, audits that two processes share, drivers, workers and nodes of a
Ray cluster. Besides, no space is left on the disk, and several processes measure one share at once.
The corpus are a few rows of the bundled one. Writes `docs/scale.md`.

Run: python -m bench.chaos --rounds 200
"""

from __future__ import annotations

import argparse
import errno
import fcntl
import multiprocessing
import os
import random
import resource
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from asr_gate.audit.engine import ledger
from asr_gate.audit.engine.on_ray import RayOptions
from asr_gate.audit.engine.parts import Parts
from asr_gate.audit.engine.shards import Share
from asr_gate.audit.pipeline import Settings, audit, audit_share
from asr_gate.audit.policy import load_policy
from asr_gate.corpus.errors import UserError
from asr_gate.corpus.read import read_corpus
from bench.clusters import two_nodes, workers
from bench.docs import replace_figures
from bench.incremental import bundled, write

PAGE = Path(__file__).parents[1] / "docs" / "scale.md"
ROWS = 14
MOST = 4
"""Kills in one round."""
PATIENCE = 300.0
"""Seconds until an audit counts as one that hangs."""


class Quiet:
    """Progress that nobody sees; it does something after so many utterances."""

    def __init__(self, after: int = 0, do: Callable[[], None] = lambda: None) -> None:
        self._left, self._do = after, do

    def say(self, line: str) -> None:
        """Nothing to note."""

    def start(self, total: int, done: int) -> None:
        """Nothing to note."""

    def advance(self, utterances: int, seconds: float) -> None:
        """Do it."""
        self._left -= 1
        if self._left == 0:
            self._do()


@dataclass
class Case:
    """One audit."""

    manifest: Path
    name: str
    share: str | None = None
    merge: bool = False
    address: str | None = None
    file_limit: int | None = None
    """Bytes that a file may have: as a full disk."""
    locks: bool = True
    """Whether the file system has locks."""

    def run(self, progress: Quiet | None = None) -> str:
        """Audit, or do a share; the digest, or nothing."""
        if self.file_limit is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (self.file_limit, resource.RLIM_INFINITY))
        if not self.locks:
            fcntl.flock = _no_locks
        ledger.KEEP_EVERY = 0.0
        settings = Settings(
            name=self.name,
            out=self.manifest.parent / "reports",
            aligner="embedded",
            language="en",
            policy=load_policy(None).with_controls(3),
            fraction=1.0,
            seed=0,
            resume=True,
            device="cpu",
            batch_seconds=1.0,
            cache=False,
            share=Share.parse(self.share) if self.share else None,
            merge=self.merge,
            ray=RayOptions(self.address) if self.address else None,
        )
        corpus = read_corpus([str(self.manifest)], audio_root=Path("/"))
        if settings.share:
            audit_share(corpus, settings, progress or Quiet())
            return ""
        return audit(corpus, settings, progress or Quiet()).report.digest


def _no_locks(file: object, operation: int) -> None:
    raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))


@dataclass
class Line:
    """One line of the table."""

    name: str
    rounds: int = 0
    hits: int = 0
    """Kills that found something to kill, or what else was done."""
    early: int = 0
    """Hits after which nothing was on the disk yet."""
    equal: int = 0
    said: int = 0
    """Rounds that first ended with one clear line."""


class Bench:
    """What all rounds share."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder = folder
        self.manifest = folder / "manifest.jsonl"
        write(bundled()[:ROWS], self.manifest)
        self.rng = random.Random(seed)
        began = time.monotonic()
        self.digest = self.end(Case(self.manifest, "whole"))
        self.usual = time.monotonic() - began
        """Seconds of an audit that nobody disturbs."""
        self.number = 0

    def fresh(self) -> str:
        """A name that no audit had."""
        self.number += 1
        return f"round-{self.number}"

    def start(self, case: Case) -> tuple[BaseProcess, Any]:
        """Begin in a process of its own; and where it says how it ended."""
        # Ray does not survive a fork.
        context: Any = multiprocessing.get_context("spawn" if case.address else "fork")
        mine, theirs = context.Pipe(duplex=False)
        process = context.Process(target=_child, args=(case, theirs))
        process.start()
        theirs.close()
        return process, mine

    def end(self, case: Case) -> str:
        """Run to the end; the digest, or the line that it ended with.

        Raises:
            SystemExit: it hangs, or ends otherwise.
        """
        return ended(*self.start(case))

    def killed(self, line: Line, case: Case, wait: float) -> None:
        """Begin, and kill at a moment within so many seconds; several times."""
        parts = Parts(case.manifest.parent / "reports" / case.name, shared=bool(case.share))
        for _ in range(self.rng.randint(1, MOST)):
            process, _said = self.start(case)
            process.join(self.rng.uniform(0, wait))
            if process.is_alive():
                os.kill(process.pid or 0, signal.SIGKILL)
                line.hits += 1
                line.early += not list(parts.folder.glob("part-*.json"))
            process.join()

    def judge(self, line: Line, digest: str) -> None:
        """Count a round."""
        line.rounds += 1
        line.equal += digest == self.digest
        if digest != self.digest:
            print(f"{line.name}: {digest}", file=sys.stderr)


def _child(case: Case, said: Any) -> None:
    try:
        said.send(case.run())
    except UserError as error:
        said.send(f"asr: {error}")
    except OSError as error:  # what the command says in a line
        said.send(f"asr: {error.strerror}")


def ended(process: BaseProcess, said: Any) -> str:
    """What a process said at its end."""
    if not said.poll(PATIENCE):
        sys.exit("an audit hangs")
    try:
        found: str = said.recv()
    except EOFError:
        sys.exit(f"an audit ended with {process.exitcode} and said nothing")
    process.join()
    return found


def one_process(bench: Bench, rounds: int) -> Line:
    """An audit that is killed and resumed."""
    line = Line("an audit by one process, killed")
    for _ in range(rounds):
        case = Case(bench.manifest, bench.fresh())
        bench.killed(line, case, bench.usual)
        bench.judge(line, bench.end(case))
    return line


def two_shares(bench: Bench, rounds: int) -> Line:
    """Two processes that share an audit, one of which is killed."""
    line = Line("one of two that share an audit, killed")
    for _ in range(rounds):
        name = bench.fresh()
        other = bench.start(Case(bench.manifest, name, share="2/2"))
        one = Case(bench.manifest, name, share="1/2")
        bench.killed(line, one, bench.usual)
        ended(*other)
        early = bench.end(Case(bench.manifest, name, merge=True))
        line.said += early.startswith("asr: ")
        bench.end(one)
        bench.judge(line, bench.end(Case(bench.manifest, name, merge=True)))
    return line


def duplicates(bench: Bench, rounds: int) -> Line:
    """Three processes that measure the same share at once, on a disk without locks."""
    line = Line("three processes measure one share at once, without locks")
    for _ in range(rounds):
        name = bench.fresh()
        case = Case(bench.manifest, name, share="1/1", locks=False)
        processes = [bench.start(case) for _ in range(3)]
        line.hits += 2
        for one in processes:
            ended(*one)
        bench.judge(line, bench.end(Case(bench.manifest, name, merge=True)))
    return line


def full_disk(bench: Bench, rounds: int) -> Line:
    """No file may be larger than some bytes; then there is room again."""
    line = Line("no space on the disk, then some")
    for _ in range(rounds):
        name = bench.fresh()
        limit = int(10 ** bench.rng.uniform(2, 4.5))
        found = bench.end(Case(bench.manifest, name, file_limit=limit))
        line.hits += 1
        line.said += found.startswith("asr: ")
        bench.judge(line, bench.end(Case(bench.manifest, name)))
    return line


def on_ray(bench: Bench, rounds: int) -> Iterator[Line]:
    """Drivers, workers and nodes of a Ray cluster."""
    cores = sorted(os.sched_getaffinity(0))
    with two_nodes(1, cores) as cluster:
        line = Line("driver of a Ray cluster, killed")
        for _ in range(rounds):
            case = Case(bench.manifest, bench.fresh(), address=cluster.address)
            bench.killed(line, case, 3 * bench.usual)
            bench.judge(line, bench.end(case))
        yield line
        line = Line("worker of a Ray cluster, killed")
        for _ in range(rounds):
            running = bench.start(Case(bench.manifest, bench.fresh(), address=cluster.address))
            while not running[1].poll(bench.rng.uniform(0, bench.usual / 2)):
                if (alive := workers(cluster)) and line.hits < MOST * (line.rounds + 1):
                    bench.rng.choice(alive).kill()
                    line.hits += 1
            bench.judge(line, ended(*running))
        yield line
        line = Line("node of a Ray cluster, taken away, and another one added")
        for _ in range(rounds):
            running = bench.start(Case(bench.manifest, bench.fresh(), address=cluster.address))
            running[1].poll(bench.rng.uniform(0, 3 * bench.usual))
            cluster.remove_node(cluster.list_all_nodes()[-1], allow_graceful=False)
            line.hits += 1
            cluster.add_node(num_cpus=1)
            bench.judge(line, ended(*running))
        yield line


def main() -> None:
    """Do it, print, and write the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=20, help="in all")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    load = os.getloadavg()[0]
    lines: list[Line] = []
    with tempfile.TemporaryDirectory() as folder:
        os.environ["XDG_STATE_HOME"] = str(Path(folder) / "state")
        bench = Bench(Path(folder), given.seed)
        each = max(1, given.rounds // 10)
        for kind, rounds in (
            (one_process, 3 * each),
            (two_shares, 2 * each),
            (duplicates, each),
            (full_disk, each),
        ):
            lines.append(kind(bench, rounds))
            print(lines[-1], flush=True)
        for line in on_ray(bench, each):
            lines.append(line)
            print(line, flush=True)
    table = [
        "| what was done | rounds | times | before anything was kept | one clear line first "
        "| equal digests |\n|---|---:|---:|---:|---:|---:|\n",
        *(
            f"| {one.name} | {one.rounds} | {one.hits} | {one.early} | {one.said} | {one.equal} |\n"
            for one in lines
        ),
        f"\n{sum(one.equal for one in lines)} of {sum(one.rounds for one in lines)} rounds ended "
        f"with the digest of an audit that nobody disturbed. {ROWS} utterances, each kept at once; "
        f"load of the machine {load:.1f} before it began.\n",
    ]
    print("".join(table))
    replace_figures(PAGE, "chaos", "".join(table))


if __name__ == "__main__":
    main()
