"""One audit by one process, by several, and on a Ray cluster: the digest, the time, the ratio.

The bundled corpus and, where it is there, real English speech (`--data`), by the embedded model.
Each worker has a processor core of its own. Two nodes of a Ray cluster are started on this machine.
Writes `docs/scale.md`.

Run: python -m bench.scale
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from bench.clusters import is_worker, two_nodes
from bench.docs import replace_figures
from bench.incremental import bundled, write
from bench.needed import SHARED
from bench.real_speech import english

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "scale.md"
BATCH_SECONDS = 5.0
"""Small, so that few recordings make many shards."""
ONE, TWO = "`--shard 1/1`", "`--shard 1/2` and `2/2`"


@dataclass
class Watch:
    """What one process has measured, and when; progress of an audit."""

    first: float = 0.0
    """When its first shard was measured, where the clock starts,"""
    early: float = 0.0
    """and seconds of audio in it."""
    last: float = 0.0
    seconds: float = 0.0
    workers: float = 0.0
    """Processor seconds of Ray's workers, which end before their use can be asked for."""
    own: float = 0.0
    """Processor seconds of this process and its decoders between `first` and `last`."""
    digest: str = ""

    def say(self, line: str) -> None:
        """Nothing to note."""

    def start(self, total: int, done: int) -> None:
        """Nothing to note."""

    def advance(self, utterances: int, seconds: float) -> None:
        """Note the time."""
        now = time.monotonic()
        if not self.first:
            self.first, self.own = now, -_processor()
        if now - self.first < 0.05:
            self.early += seconds
        if now - self.last > 0.2:
            used = [p.cpu_times() for p in psutil.process_iter() if is_worker(p)]
            self.workers = max(self.workers, sum(one.user + one.system for one in used))
        self.seconds += seconds
        self.last = now


def _processor() -> float:
    ended = os.times()
    used = time.process_time() + ended.children_user + ended.children_system
    for child in psutil.Process().children():
        with suppress(psutil.Error):
            used += sum(child.cpu_times()[:2])
    return used


@dataclass(frozen=True)
class Line:
    """One line of the table."""

    name: str
    digest: str
    wall: float
    """Seconds of all commands, those that run side by side once."""
    processor: float
    speed: float
    """Seconds of audio a second of wall time, after the first shard."""
    without_waiting: float
    """The same by the processor time of whoever took most: what an idle machine would show."""


def main() -> None:
    """Measure, print, and write the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, default=SHARED / "speech" / "manifest.jsonl")
    parser.add_argument("--rows", type=int, help="of each corpus; all of them otherwise")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        one_process(**json.loads(given.one))
        return
    corpora = {"bundled": bundled()}
    if given.data.is_file():
        folder = given.data.resolve().parent
        corpora["real speech"] = [
            {**row, "audio_filepath": str(folder / row["audio_filepath"])}
            for row in english(given.data)
        ]
    load = os.getloadavg()[0]
    table = [
        "| corpus | who measures | wall, s | processor, s | speed | digest |\n",
        "|---|---|---:|---:|---:|---|\n",
    ]
    summary = []
    for corpus, all_rows in corpora.items():
        rows = all_rows[: given.rows]
        with tempfile.TemporaryDirectory() as folder_of_run:
            manifest = Path(folder_of_run) / "manifest.jsonl"
            write(rows, manifest)
            lines = list(measured(manifest))
        for line in lines:
            table.append(
                f"| {corpus} | {line.name} | {line.wall:.1f} | {line.processor:.1f} "
                f"| {line.speed:.1f} | `{line.digest[7:15]}` |\n"
            )
            print(table[-1], end="", flush=True)
        speed = {line.name: line.speed for line in lines}
        alone = {line.name: line.without_waiting for line in lines}
        equal = len({line.digest for line in lines}) == 1
        summary.append(
            f"- {corpus}, {len(rows)} utterances: {len(lines)} audits, "
            f"{'one digest' if equal else 'NOT ONE DIGEST'}; two workers to one: "
            f"{speed[TWO] / speed[ONE]:.2f} with `--shard` "
            f"({alone[TWO] / alone[ONE]:.2f} by processor time), "
            f"{speed['Ray, 2 workers'] / speed['Ray, 1 worker']:.2f} on Ray.\n"
        )
    about = (
        f"\nThe embedded model on two cores, load of the machine {load:.1f} before it began. "
        "Speed is seconds of audio a second of wall time after the first shard, without what "
        "comes before it (Python, the plan, Ray's workers); 4 workers share the two cores.\n"
    )
    figures = "".join([*table, "\n", *summary, about])
    print("".join(summary))
    replace_figures(PAGE, "scale", figures)


def measured(manifest: Path) -> Iterator[Line]:
    """All ways to audit one manifest."""
    cores = sorted(os.sched_getaffinity(0))[:2]
    yield run("local, 1 core", [{"name": "one", "cores": cores[:1]}], manifest)
    yield run("local, 2 cores", [{"name": "two", "cores": cores}], manifest)
    for name, count in ((ONE, 1), (TWO, 2)):
        shares: list[dict[str, object]] = [
            {
                "name": f"shares-{count}",
                "cores": [cores[number % len(cores)]],
                "share": f"{number + 1}/{count}",
            }
            for number in range(count)
        ]
        yield run(name, shares, manifest, {"name": f"shares-{count}", "merge": True})
    with two_nodes(2, cores) as cluster:
        for count in (1, 2, 4):
            one = {"name": f"ray-{count}", "address": cluster.address, "workers": count}
            yield run(f"Ray, {count} worker{'s' * (count > 1)}", [one], manifest)


def run(
    name: str,
    together: Sequence[dict[str, object]],
    manifest: Path,
    after: dict[str, object] | None = None,
) -> Line:
    """Processes that measure side by side, and one that merges after them."""
    began = time.monotonic()
    before = os.times()
    found = finished([started(manifest, one) for one in together])
    digest = finished([started(manifest, after)])[0].digest if after else found[0].digest
    wall = time.monotonic() - began
    now = os.times()
    processor = now.children_user - before.children_user
    processor += now.children_system - before.children_system + found[0].workers
    seconds = sum(one.seconds - one.early for one in found)
    span = max(one.last for one in found) - min(one.first for one in found)
    most = max(one.own for one in found)
    return Line(name, digest, wall, processor, seconds / max(span, 1e-3), seconds / max(most, 1e-3))


def started(manifest: Path, one: dict[str, object]) -> subprocess.Popen[str]:
    """A process that does its part of an audit."""
    given = json.dumps({"manifest": str(manifest), **one})
    command = [sys.executable, "-m", "bench.scale", "--one", given]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def finished(processes: Sequence[subprocess.Popen[str]]) -> list[Watch]:
    """What they say at their end."""
    said = [process.communicate()[0] for process in processes]
    if any(process.returncode for process in processes):
        sys.exit("one of them failed")
    return [Watch(**json.loads(one.splitlines()[-1])) for one in said]


def one_process(
    manifest: str,
    name: str,
    cores: Sequence[int] = (),
    share: str | None = None,
    merge: bool = False,
    address: str | None = None,
    workers: int | None = None,
) -> None:
    """Do a part of an audit, and print what was measured."""
    if cores:
        os.sched_setaffinity(0, cores)
    from asr_gate.audit.engine.on_ray import RayOptions
    from asr_gate.audit.engine.shards import Share
    from asr_gate.audit.pipeline import Settings, audit, audit_share
    from asr_gate.audit.policy import load_policy
    from asr_gate.corpus.read import read_corpus

    settings = Settings(
        name=name,
        out=Path(manifest).parent / "reports",
        aligner="embedded",
        language="en",
        policy=load_policy(None),
        fraction=1.0,
        seed=0,
        resume=False,
        device="cpu",
        batch_seconds=BATCH_SECONDS,
        cache=False,
        share=Share.parse(share) if share else None,
        merge=merge,
        ray=RayOptions(address, workers) if address else None,
    )
    corpus = read_corpus([manifest], audio_root=Path("/"))
    watch = Watch()
    if settings.share:
        audit_share(corpus, settings, watch)
        watch.own += _processor()
    else:
        watch.digest = audit(corpus, settings, watch).report.digest
    print(json.dumps(asdict(watch)))


if __name__ == "__main__":
    main()
