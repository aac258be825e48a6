"""The command in this process."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.asr import asr_here


@pytest.fixture
def asr() -> Callable[..., tuple[int, str, str]]:
    """The command in the current folder: exit code and what it said on both outputs."""

    def run(*arguments: object) -> tuple[int, str, str]:
        done = asr_here(*arguments, cwd=Path.cwd())
        return done.returncode, done.stdout, done.stderr

    return run
