"""One W&B client for each module of tests: starting its service takes the most time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.tracking.isolation import FAKE_KEY, isolated_wandb, isolated_wandb_environment
from tests.tracking.loopback import Loopback


@pytest.fixture(scope="module")
def client_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("client")
    with isolated_wandb(folder):
        yield folder


@pytest.fixture
def wandb_environment(client_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The module's client without a login. Runs go to `tmp_path`, the current folder."""
    for name, value in isolated_wandb_environment(client_folder).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("WANDB_DIR", str(tmp_path))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def fresh_client(wandb_environment: None) -> Iterator[None]:
    """A client that remembers no login of an earlier test."""
    import wandb

    wandb.teardown()
    yield
    wandb.teardown()


@pytest.fixture
def server(wandb_environment: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Loopback]:
    """A server that answers, and a client that is logged in to it."""
    with Loopback() as server:
        monkeypatch.setenv("WANDB_API_KEY", FAKE_KEY)
        monkeypatch.setenv("WANDB_BASE_URL", server.url)
        yield server
        assert server.unknown == []
