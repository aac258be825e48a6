"""An audit on a Ray cluster of two nodes that loses a worker and a node."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from asr_gate.audit.engine import ledger
from asr_gate.audit.engine.on_ray import RayOptions
from asr_gate.audit.pipeline import Interrupted, Settings, audit
from asr_gate.audit.policy import load_policy
from asr_gate.corpus.read import read_corpus
from tests.e2e.asr import asr_here, one_line
from tests.e2e.conftest import write_small


@dataclass
class Nodes:
    """A cluster with a head and one more node, of one core each."""

    cluster: Any
    second: Any

    def kill_worker(self) -> None:
        """As the kernel does where memory runs out."""
        for node in self.cluster.list_all_nodes():
            for raylet in node.all_processes["raylet"]:
                for process in psutil.Process(raylet.process.pid).children():
                    if "Worker" in " ".join(process.cmdline()):
                        process.send_signal(signal.SIGKILL)
                        return
        pytest.fail("there is no worker")

    def remove_second(self) -> None:
        """As a machine that is taken away."""
        self.cluster.remove_node(self.second, allow_graceful=False)


@pytest.fixture(scope="module")
def nodes() -> Iterator[Nodes]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        # A node waits a quarter of a minute for a helper that compiles itself anew without it.
        patch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
        from ray.cluster_utils import Cluster

        head = {"num_cpus": 1, "include_dashboard": False}
        cluster = Cluster(initialize_head=True, head_node_args=head)
        try:
            yield Nodes(cluster, cluster.add_node(num_cpus=1))
        finally:
            cluster.shutdown()


@dataclass
class Watch:
    """Progress that does something after so many utterances."""

    after: dict[int, Any] = field(default_factory=dict)
    kept: int = 0
    measured: int = 0
    said: list[str] = field(default_factory=list)

    def say(self, line: str) -> None:
        self.said.append(line)

    def start(self, total: int, done: int) -> None:
        self.kept = done

    def advance(self, utterances: int, seconds: float) -> None:
        self.measured += utterances
        for number in [one for one in self.after if one <= self.measured]:
            self.after.pop(number)()


@pytest.mark.slow
def test_a_cluster_that_loses_workers_and_nodes_ends_an_audit_that_was_interrupted_here(
    nodes: Nodes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus = read_corpus([os.fspath(write_small(tmp_path / "small.jsonl", shift=0))])
    settings = Settings(
        name="whole",
        out=tmp_path / "reports",
        aligner="embedded",
        language="en",
        policy=load_policy(None).with_controls(3),
        fraction=1.0,
        seed=0,
        resume=True,
        device="cpu",
        batch_seconds=1.0,
    )
    whole = audit(corpus, settings, Watch())

    def interrupt() -> None:
        signal.raise_signal(signal.SIGINT)

    settings = replace(settings, name="begun", cache=False)
    with monkeypatch.context() as patch, pytest.raises(Interrupted):
        patch.setattr(ledger, "KEEP_EVERY", 0.0)
        audit(corpus, settings, Watch({1: interrupt}))
    watch = Watch({1: nodes.kill_worker, 3: nodes.remove_second})
    options = RayOptions(nodes.cluster.address)
    monkeypatch.chdir(tmp_path)
    result = audit(corpus, replace(settings, ray=options), watch)
    assert result.report.digest == whole.report.digest
    assert watch.kept > 0
    assert watch.kept + watch.measured == len(corpus.utterances)
    assert not watch.after, "all of it has happened"
    assert sum("a worker was lost" in line for line in watch.said) >= 1


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--engine", "ray", "--address", "127.0.0.1:1"], "127.0.0.1:1"),
        (["--engine", "ray", "--until-decided"], "exclude each other"),
        (["--engine", "ray", "--shard", "1/2"], "exclude each other"),
    ],
)
def test_what_ray_cannot_do_is_said_in_a_line(
    options: list[str], said: str, tmp_path: Path
) -> None:
    assert said in one_line(asr_here("audit", "--no-wandb", *options, cwd=tmp_path))


def test_without_ray_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    done = asr_here("audit", "--engine", "ray", "--no-wandb", cwd=tmp_path)
    assert done.returncode == 2
    assert "asr-gate[ray]" in one_line(done)
