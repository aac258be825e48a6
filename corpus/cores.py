"""How many processor cores there are for us."""

from __future__ import annotations

import os


def usable_cores() -> int:
    """Cores that this process may use: fewer than the machine has under a scheduler or taskset."""
    return len(os.sched_getaffinity(0))
