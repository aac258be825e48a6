"""Locks on folders."""

from __future__ import annotations

import fcntl
import os
import stat
from pathlib import Path

import pytest

from asr_gate.corpus.files import held, is_held, take


def test_locks_are_of_the_kind_that_other_machines_see(tmp_path: Path) -> None:
    """On NFS: those on files that are open for writing, and not those on folders."""
    opened = take(tmp_path / "trial")
    assert opened is not None and stat.S_ISREG(os.fstat(opened).st_mode)
    assert fcntl.fcntl(opened, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDWR
    assert is_held(tmp_path / "trial") and take(tmp_path / "trial") is None
    os.close(opened)
    assert not is_held(tmp_path / "trial")


def test_a_folder_that_was_held_is_left_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And who opened the lock before it was removed does not hold it beside the next one."""
    real = fcntl.flock
    removed = []

    def late(opened: int, operation: int) -> None:
        if not removed:
            removed.append((tmp_path / ".lock").unlink())
        real(opened, operation)

    monkeypatch.setattr(fcntl, "flock", late)
    with held(tmp_path):
        assert removed and is_held(tmp_path)
        with pytest.raises(BlockingIOError), held(tmp_path, patience=0):
            pass
        assert is_held(tmp_path)
    assert list(tmp_path.iterdir()) == []
