"""Audits of the bundled corpus, run once for all tests that read them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.asr import asr
from tests.speech import PROCEED, STOP


@pytest.fixture(scope="session")
def audited(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `reports/proceed` and `reports/stop`, of all rows of the bundled corpus."""
    folder = tmp_path_factory.mktemp("audited")
    for manifest, code in ((PROCEED, 0), (STOP, 20)):
        done = asr("audit", manifest, "--all", "--name", manifest.stem, "--no-wandb", cwd=folder)
        assert done.returncode == code, done.stderr
    return folder
