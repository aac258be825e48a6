"""A wandb client that reads and writes nothing of the machine's, and calls nobody."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

FAKE_KEY = "k" * 40
"""Of the length that the client accepts, and known to no server."""


def isolated_wandb_environment(tmp_path: Path) -> dict[str, str]:
    """Variables that keep the client within `tmp_path`, as a subprocess or a test needs them.

    Unset what `inherited_wandb_variables` names, too: keys and modes would come through.
    """
    return {
        "HOME": str(tmp_path / "home"),
        "NETRC": str(tmp_path / "home" / "netrc"),
        "OTEL_SDK_DISABLED": "true",
        "WANDB_ARTIFACT_DIR": str(tmp_path / "wandb-artifacts"),
        "WANDB_CACHE_DIR": str(tmp_path / "wandb-cache"),
        "WANDB_CONFIG_DIR": str(tmp_path / "wandb-config"),
        "WANDB_DATA_DIR": str(tmp_path / "wandb-data"),
        "WANDB_DIR": str(tmp_path),
        "WANDB_ERROR_REPORTING": "false",
    }


def inherited_wandb_variables() -> list[str]:
    """Variables of this process that a client would heed."""
    proxies = ("http_proxy", "https_proxy", "all_proxy")
    return [name for name in os.environ if name.startswith("WANDB_") or name.lower() in proxies]


def forget_service() -> None:
    """End the client's service of this process, and what names it: a test may have put it back."""
    import wandb

    wandb.teardown()
    os.environ.pop("WANDB_SERVICE", None)


@contextmanager
def isolated_wandb(tmp_path: Path) -> Iterator[dict[str, str]]:
    """The same for the client in this process, whose state is dropped at both ends."""
    environment = isolated_wandb_environment(tmp_path)
    forget_service()
    with pytest.MonkeyPatch.context() as patch:
        for name in inherited_wandb_variables():
            patch.delenv(name)
        for name, value in environment.items():
            patch.setenv(name, value)
        (tmp_path / "home").mkdir(exist_ok=True)
        yield environment
        # Its service took over the environment above; the next test needs a fresh one.
        forget_service()


def in_a_subprocess(
    folder: Path, *arguments: str, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run Python with the checkout importable, the client isolated and no terminal."""
    environment = {k: v for k, v in os.environ.items() if k not in inherited_wandb_variables()}
    environment |= isolated_wandb_environment(folder) | {"PYTHONPATH": str(ROOT)} | variables
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )
