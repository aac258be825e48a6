"""Audits of the bundled corpus, run once for all tests that read them."""

from __future__ import annotations

import json
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


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A manifest of eight sound utterances of the bundled corpus: an audit of seconds."""
    return write_small(tmp_path / "small.jsonl", shift=0)


@pytest.fixture
def small_stop(tmp_path: Path) -> Path:
    """The same recordings, each with the text of another."""
    return write_small(tmp_path / "small_stop.jsonl", shift=3)


def write_small(path: Path, shift: int) -> Path:
    rows = [json.loads(line) for line in PROCEED.read_text().splitlines()[:8]]
    texts = [row["text"] for row in rows]
    for row, text in zip(rows, texts[shift:] + texts[:shift], strict=True):
        row |= {"audio_filepath": str(PROCEED.parent / row["audio_filepath"]), "text": text}
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path
