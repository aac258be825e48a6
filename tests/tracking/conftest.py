from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.tracking.isolation import isolated_wandb


@pytest.fixture
def wandb_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    """The client isolated in `tmp_path`, which is also the current folder; no login."""
    monkeypatch.chdir(tmp_path)
    with isolated_wandb(tmp_path) as environment:
        yield environment
