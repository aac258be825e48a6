"""What takes long to make, made once for all workers of a test run."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def made_once(tmp_path_factory: pytest.TempPathFactory, name: str) -> Iterator[tuple[Path, bool]]:
    """A folder that all workers of a test run share, and whether it is there already.

    The first worker makes it within the `with` block; the others wait and find it whole.
    """
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    folder = shared / name
    with (shared / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        there = (folder / "made").exists()
        if not there:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
        yield folder, there
        (folder / "made").touch()
