"""A Ray cluster of two nodes on this machine, for measurements; each node can have a core alone."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import psutil


@contextmanager
def two_nodes(cpus: int, cores: list[int]) -> Iterator[Any]:
    """A cluster by Ray's own tools; it is shut down at the end.

    Args:
        cpus: that each node says it has.
        cores: the first node runs on the first of them, the second one on the last.
    """
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    from ray.cluster_utils import Cluster

    all_cores = os.sched_getaffinity(0)
    cluster: Any = None
    try:
        for core in (cores[0], cores[-1]):
            os.sched_setaffinity(0, {core})  # the node inherits it
            if cluster is None:
                cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": cpus})
            else:
                cluster.add_node(num_cpus=cpus)
        os.sched_setaffinity(0, all_cores)
        yield cluster
    finally:
        os.sched_setaffinity(0, all_cores)
        if cluster is not None:
            cluster.shutdown()


def is_worker(process: psutil.Process) -> bool:
    """Whether a process measures for a Ray cluster."""
    with suppress(psutil.Error):
        name: str = process.name()
        return name.startswith("ray::Worker")
    return False


def workers(cluster: Any) -> list[psutil.Process]:
    """The processes that measure on the nodes of a cluster."""
    return [
        process
        for node in cluster.list_all_nodes()
        for raylet in node.all_processes["raylet"]
        for process in psutil.Process(raylet.process.pid).children()
        if is_worker(process)
    ]
