from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.tracking.isolation import FAKE_KEY, isolated_wandb
from tests.tracking.loopback import Loopback


@pytest.fixture
def wandb_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    """The client isolated in `tmp_path`, which is also the current folder; no login."""
    monkeypatch.chdir(tmp_path)
    with isolated_wandb(tmp_path) as environment:
        yield environment


@pytest.fixture
def server(
    wandb_environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Loopback]:
    """A server that answers, and a client that is logged in to it."""
    del wandb_environment
    with Loopback() as server:
        monkeypatch.setenv("WANDB_API_KEY", FAKE_KEY)
        monkeypatch.setenv("WANDB_BASE_URL", server.url)
        yield server
        assert server.unknown == []
