"""Audits that are disturbed at random moments: does each end with the digest of one that was not?

Processes are ended with `kill -9` at moments drawn by lot, and started again until they end by
themselves. Besides, the disk is full, a store fails, the clock jumps, and several do the same work
at once. The corpus are a few rows of the bundled one. Rounds are counted in
`docs/figures/chaos.json`, so that they can be run in pieces, and stand in `docs/scale.md`.

Run: python -m bench.chaos --rounds 200
"""

from __future__ import annotations

import argparse
import errno
import fcntl
import json
import multiprocessing
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import psutil

from asr_gate.audit.engine import ledger
from asr_gate.audit.engine.on_ray import RayOptions
from asr_gate.audit.engine.parts import Parts
from asr_gate.audit.engine.shards import Share
from asr_gate.audit.gate.read import read_report
from asr_gate.audit.gate.remote import on_disk
from asr_gate.audit.pipeline import Settings, audit, audit_share
from asr_gate.audit.policy import load_policy
from asr_gate.audit.report.destination import destination
from asr_gate.corpus import storage
from asr_gate.corpus.errors import UserError
from asr_gate.corpus.files import write_atomically
from asr_gate.corpus.read import read_corpus
from bench import stores
from bench.clusters import two_nodes, workers
from bench.docs import replace_figures
from bench.incremental import bundled, write
from bench.stores import BUCKET, Store

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "scale.md"
COUNTED = ROOT / "docs" / "figures" / "chaos.json"
ROWS = 8
MOST = 4
"""Kills in one round."""
PATIENCE = 300.0
"""Seconds until an audit counts as one that hangs."""
FAULTS = ("500", "503", "cut", "slow")


class Quiet:
    """Progress that nobody sees."""

    def say(self, line: str) -> None: ...

    def start(self, total: int, done: int) -> None: ...

    def advance(self, utterances: int, seconds: float) -> None: ...


@dataclass
class Case:
    """One audit."""

    manifest: str
    out: str
    name: str
    share: str | None = None
    merge: bool = False
    address: str | None = None
    file_limit: int | None = None
    """Bytes that a file may have: as a full disk."""
    locks: bool = True
    """Whether the file system has locks."""
    home: str | None = None
    """Folder of the state and the cache; None: that of all audits, and no cache."""
    clock: str | None = None
    """File that says what time it is; None: the clock of the machine."""

    def run(self) -> str:
        """Audit, or do a share; the digest, or nothing."""
        if self.file_limit is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (self.file_limit, resource.RLIM_INFINITY))
        if not self.locks:
            fcntl.flock = _no_locks
        if self.home is not None:
            os.environ |= {"XDG_STATE_HOME": self.home, "XDG_CACHE_HOME": f"{self.home}/cache"}
        ledger.KEEP_EVERY = 0.0
        storage.FIRST_WAIT = 0.01
        place = destination(Path(self.out), self.name)
        settings = Settings(
            name=self.name,
            out=place.folder.parent,
            aligner="embedded",
            language="en",
            policy=load_policy(None).with_controls(2),
            fraction=1.0,
            seed=0,
            resume=True,
            device="cpu",
            batch_seconds=1.0,
            cache=self.home is not None,
            share=Share.parse(self.share) if self.share else None,
            merge=self.merge,
            ray=RayOptions(self.address) if self.address else None,
        )
        corpus = read_corpus([self.manifest])
        if settings.share:
            audit_share(corpus, settings, Quiet())
            return ""
        found = audit(corpus, settings, Quiet()).report.digest
        if place.url is None:
            return found
        place.upload()
        return read_report(on_disk(place.url)).digest


def _no_locks(file: object, operation: int) -> None:
    raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))


@dataclass
class Round:
    """What was done in a round, and how it ended."""

    kind: str
    hits: int = 0
    """Kills that found something to kill, or what else was done."""
    early: int = 0
    """Kills after which nothing was on the disk yet."""
    said: int = 0
    """Processes that ended with one clear line."""
    equal: bool = False
    seconds: float = 0.0


class Bench:
    """What all rounds share."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        rows = bundled()[:ROWS]
        (folder / "audio").mkdir()
        for row in rows:
            path = Path(shutil.copy(row["audio_filepath"], folder / "audio"))
            row["audio_filepath"] = f"audio/{path.name}"
        write(rows, folder / "manifest.jsonl")
        self.case = Case(str(folder / "manifest.jsonl"), str(folder / "reports"), "whole")
        # Here, so that what is loaded for it is there in all processes that are forked later.
        self.digest = self.case.run()
        began = time.monotonic()
        self.end(replace(self.case, name="again"))
        self.usual = time.monotonic() - began
        """Seconds of an audit that nobody disturbs."""
        self._open = ExitStack()
        self._store: Store | None = None
        self._cluster: Any = None

    def close(self) -> None:
        """Shut down what was started."""
        self._open.close()

    def store(self) -> Store:
        """A server with the corpus."""
        if self._store is None:
            stores.SLOW = 0.3
            self._store = self._open.enter_context(Store().running())
            os.environ |= {
                "AWS_ENDPOINT_URL": self._store.endpoint,
                "AWS_ACCESS_KEY_ID": "key",
                "AWS_SECRET_ACCESS_KEY": "secret",
                "AWS_DEFAULT_REGION": "us-east-1",
            }
            context: Any = multiprocessing.get_context("fork")
            process = context.Process(target=_fill, args=(self.folder,))
            process.start()
            process.join()
        return self._store

    def cluster(self) -> Any:
        """A Ray cluster of two nodes."""
        if self._cluster is None:
            cores = sorted(os.sched_getaffinity(0))
            self._cluster = self._open.enter_context(two_nodes(1, cores))
        return self._cluster

    def start(self, case: Case) -> tuple[BaseProcess, Any]:
        """Begin in a process of its own; and where it says how it ended."""
        # Ray does not survive a fork, and a clock is put before everything else.
        own = case.address or case.clock
        context: Any = multiprocessing.get_context("spawn" if own else "fork")
        mine, theirs = context.Pipe(duplex=False)
        process = context.Process(target=_child, args=(case, theirs))
        with _clock(case.clock):
            process.start()
        theirs.close()
        return process, mine

    def end(self, case: Case) -> str:
        """Run to the end; the digest, or the line that it ended with."""
        return ended(*self.start(case))

    def killed(self, found: Round, case: Case, rng: random.Random, wait: float) -> None:
        """Begin, and kill at a moment within so many seconds; several times."""
        parts = Parts(destination(Path(case.out), case.name).folder, shared=bool(case.share))
        for _ in range(rng.randint(1, MOST)):
            process, _said = self.start(case)
            process.join(rng.uniform(0, wait))
            if process.is_alive():
                os.kill(process.pid or 0, signal.SIGKILL)
                found.hits += 1
                found.early += not list(parts.folder.glob("part-*.json"))
            process.join()

    def tried(self, found: Round, case: Case) -> str:
        """Run to the end where that may be a line, which is counted."""
        said = self.end(case)
        found.said += said.startswith("asr: ")
        return said


def _fill(folder: Path) -> None:
    storage._store("s3://").call_s3("create_bucket", Bucket=BUCKET)
    for path in (folder / "manifest.jsonl", *(folder / "audio").iterdir()):
        storage.write(f"s3://{BUCKET}/{path.relative_to(folder)}", path)


@contextmanager
def _clock(file: str | None) -> Iterator[None]:
    """Let processes that are started within the block look at a file for the time."""
    if file is not None:
        os.environ |= {
            "LD_PRELOAD": _faketime(),
            "FAKETIME_TIMESTAMP_FILE": file,
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }
    try:
        yield
    finally:
        if file is not None:
            del os.environ["LD_PRELOAD"]


def _faketime() -> str:
    found = next(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"), None)
    if found is None:
        sys.exit("libfaketime is not here: apt-get install libfaketime")
    return str(found)


def _child(case: Case, said: Any) -> None:
    try:
        said.send(case.run())
    except UserError as error:
        said.send(f"asr: {error}")
    except OSError as error:  # what the command says in a line
        full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        if not full and error.filename is None:
            raise
        said.send(f"asr: {error.strerror}")


def ended(process: BaseProcess, said: Any) -> str:
    """What a process said at its end."""
    if not said.poll(PATIENCE):
        process.kill()
        return "it hangs"
    try:
        found: str = said.recv()
    except EOFError:
        found = "it says nothing"
    process.join()
    return found


def one_process(bench: Bench, found: Round, case: Case, rng: random.Random) -> str:
    """An audit that is killed and resumed."""
    bench.killed(found, case, rng, bench.usual)
    return bench.end(case)


def decoders(bench: Bench, found: Round, case: Case, rng: random.Random) -> str:
    """The processes that decode for an audit."""
    process, said = bench.start(case)
    while not said.poll(rng.uniform(0, bench.usual / 2)):
        try:
            alive = psutil.Process(process.pid).children()
        except psutil.Error:
            continue
        if alive and found.hits < MOST:
            rng.choice(alive).kill()
            found.hits += 1
    return ended(process, said)


def two_shares(bench: Bench, found: Round, case: Case, rng: random.Random) -> str:
    """Two processes that share an audit, one of which is killed."""
    other = bench.start(replace(case, share="2/2"))
    one = replace(case, share="1/2")
    bench.killed(found, one, rng, bench.usual)
    ended(*other)
    bench.tried(found, replace(case, merge=True))
    bench.end(one)
    return bench.end(replace(case, merge=True))


def duplicates(bench: Bench, found: Round, case: Case, rng: random.Random) -> str:
    """Three processes that measure the same share at once, on a disk without locks."""
    processes = [bench.start(replace(case, share="1/1", locks=False)) for _ in range(3)]
    found.hits += 2
    for one in processes:
        ended(*one)
    return bench.end(replace(case, merge=True))


def two_at_once(bench: Bench, found: Round, case: Case, rng: random.Random) -> str:
    """Two audits of one name at once: the second one is refused, unless the first has ended."""
    first = bench.start(case)
    time.sleep(rng.uniform(0, bench.usual / 2))
    found.hits += 1
    second = bench.tried(found, case)
    digest = ended(*first)
    return second if digest.startswith("asr: ") else digest


def file_limit(bench: Bench, found: Round, case: Case, rng: random.Random) -> str:
    """No file may be larger than some bytes; then there is room again."""
    found.hits += 1
    bench.tried(found, replace(case, file_limit=int(10 ** rng.uniform(2, 4.5))))
    return bench.end(case)


def full_disk(bench: Bench, found: Round, case: Case, rng: random.Random) -> str:
    """A disk of some kB for the report, the state and the cache; then a larger one."""
    disk = bench.folder / "disk"
    disk.mkdir(exist_ok=True)
    size = int(10 ** rng.uniform(4.3, 5.7))
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size},mode=700", "chaos", str(disk)]
    if subprocess.run(mount, check=False, stderr=subprocess.DEVNULL).returncode:
        return file_limit(bench, found, case, rng)  # who is not root
    try:
        on_it = replace(case, out=str(disk / "reports"), home=str(disk))
        found.hits += 1
        bench.tried(found, on_it)
        more = ["mount", "-o", "remount,size=100m", str(disk)]
        subprocess.run(more, check=True)
        return bench.end(on_it)
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


def failing_store(bench: Bench, found: Round, case: Case, rng: random.Random) -> str:
    """Corpus and report in a store that fails now and then, or often, or while it is killed."""
    store = bench.store()
    names = ["manifest.jsonl", *(f"audio/{one.name}" for one in bench.folder.glob("audio/*"))]
    names += [f"reports/{case.name}/{name}" for name in ("utterances.parquet", "report.md")]
    names.append(f"reports/{case.name}/alignment_report.json")
    planned = {}
    for name in rng.sample(names, rng.randint(1, len(names))):
        method = "PUT" if name.startswith("reports") else rng.choice(("GET", "HEAD"))
        many = storage.TRIES if rng.random() < 0.1 else rng.randint(1, 3)
        planned[f"{method} /{BUCKET}/{name}"] = [rng.choice(FAULTS) for _ in range(many)]
    there = sum(map(len, planned.values()))
    store.faults = planned
    remote = replace(case, manifest=f"s3://{BUCKET}/manifest.jsonl", out=f"s3://{BUCKET}/reports")
    if rng.random() < 0.5:
        bench.killed(found, remote, rng, bench.usual)
    bench.tried(found, remote)
    found.hits += there - sum(map(len, planned.values()))
    store.faults = {}
    return bench.end(remote)


def jumping_clock(bench: Bench, found: Round, case: Case, rng: random.Random) -> str:
    """The clock jumps by up to twenty years, to and fro, while an audit is killed and resumed."""
    file = bench.folder / "clock"
    over = threading.Event()

    def jump() -> None:
        while not over.wait(rng.uniform(0, bench.usual / 4)):
            write_atomically(file, f"{rng.uniform(-20, 20):+.3f}y\n".encode())
            found.hits += 1

    file.write_text("+0\n")
    thread = threading.Thread(target=jump)
    thread.start()
    try:
        timed = replace(case, clock=str(file))
        bench.killed(found, timed, random.Random(rng.random()), 3 * bench.usual)
        return bench.end(timed)
    finally:
        over.set()
        thread.join()


def ray_driver(bench: Bench, found: Round, case: Case, rng: random.Random) -> str:
    """The driver of a Ray cluster."""
    case = replace(case, address=bench.cluster().address)
    bench.killed(found, case, rng, 3 * bench.usual)
    return bench.end(case)


def ray_worker(bench: Bench, found: Round, case: Case, rng: random.Random) -> str:
    """Workers of a Ray cluster."""
    cluster = bench.cluster()
    running = bench.start(replace(case, address=cluster.address))
    while not running[1].poll(rng.uniform(0, bench.usual / 2)):
        if (alive := workers(cluster)) and found.hits < MOST:
            rng.choice(alive).kill()
            found.hits += 1
    return ended(*running)


def ray_node(bench: Bench, found: Round, case: Case, rng: random.Random) -> str:
    """A node of a Ray cluster."""
    cluster = bench.cluster()
    running = bench.start(replace(case, address=cluster.address))
    running[1].poll(rng.uniform(0, 3 * bench.usual))
    cluster.remove_node(cluster.list_all_nodes()[-1], allow_graceful=False)
    found.hits += 1
    cluster.add_node(num_cpus=1)
    return ended(*running)


KINDS: dict[str, tuple[int, Callable[[Bench, Round, Case, random.Random], str]]] = {
    "an audit by one process, killed": (9, one_process),
    "a process that decodes for an audit, killed": (4, decoders),
    "one of two that share an audit, killed": (5, two_shares),
    "three processes measure one share at once, without locks": (2, duplicates),
    "two audits of one name at once": (3, two_at_once),
    "a disk of some kB, then a larger one": (4, full_disk),
    "no file larger than some kB, then any": (2, file_limit),
    "corpus and report in a store that fails, half of them killed": (6, failing_store),
    "the clock jumps by years, and the audit is killed": (2, jumping_clock),
    "driver of a Ray cluster, killed": (1, ray_driver),
    "worker of a Ray cluster, killed": (1, ray_worker),
    "node of a Ray cluster, taken away, and another one added": (1, ray_node),
}
"""How many rounds of forty are of a kind."""
TURNS = [kind for kind, (many, _) in KINDS.items() for _ in range(many)]
random.Random(0).shuffle(TURNS)


def do(bench: Bench, number: int) -> Round:
    """One round; the number decides what is drawn in it."""
    kind = TURNS[number % len(TURNS)]
    found = Round(kind)
    began = time.monotonic()
    case = replace(bench.case, name=f"round-{number}")
    digest = KINDS[kind][1](bench, found, case, random.Random(number))
    found.equal = digest == bench.digest
    found.seconds = round(time.monotonic() - began, 1)
    if not found.equal:
        print(f"round {number}: {digest}", file=sys.stderr, flush=True)
    shutil.rmtree(bench.folder / "reports" / case.name, ignore_errors=True)
    return found


def table(rounds: list[Round]) -> str:
    """All rounds, by kinds."""
    lines = [
        "| what was done | rounds | times | before anything was kept | one clear line first "
        "| equal digests |\n|---|---:|---:|---:|---:|---:|\n"
    ]
    for kind in KINDS:
        own = [one for one in rounds if one.kind == kind]
        sums = (sum(getattr(one, name) for one in own) for name in ("hits", "early", "said"))
        counts = [len(own), *sums, sum(one.equal for one in own)]
        lines.append(f"| {kind} | {' | '.join(f'{count:,}' for count in counts)} |\n")
    minutes = sum(one.seconds for one in rounds) / 60
    lines.append(
        f"\n{sum(one.equal for one in rounds)} of {len(rounds)} rounds ended with the digest of an "
        f"audit that nobody disturbed, in {minutes:.0f} minutes. {ROWS} utterances, each kept at "
        "once.\n"
    )
    return "".join(lines)


def main() -> None:
    """Do the rounds that are not done yet, print, and write the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=20, help="in all, those before included")
    parser.add_argument("--only", type=int, nargs="*", help="these again, and count none")
    parser.add_argument("--anew", action="store_true", help="count from zero")
    given = parser.parse_args()
    done: dict[str, Any] = {}
    if COUNTED.is_file() and not given.anew:
        done = json.loads(COUNTED.read_text(encoding="utf-8"))
    left = [number for number in range(given.rounds) if str(number) not in done]
    with tempfile.TemporaryDirectory() as folder:
        os.environ["XDG_STATE_HOME"] = str(Path(folder) / "state")
        os.environ["XDG_CACHE_HOME"] = str(Path(folder) / "cache")
        bench = Bench(Path(folder))
        print(f"an audit takes {bench.usual:.1f} s", flush=True)
        try:
            for number in left if given.only is None else given.only:
                found = do(bench, number)
                print(number, found, flush=True)
                if given.only is None:
                    done[str(number)] = asdict(found)
                    write_atomically(COUNTED, json.dumps(done, indent=0).encode())
        finally:
            bench.close()
    if given.only is None:
        told = table([Round(**one) for one in done.values()])
        print(told)
        replace_figures(PAGE, "chaos", told)


if __name__ == "__main__":
    main()
