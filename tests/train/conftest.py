"""A small corpus, its report, and a small model's processor, made once for the trainer's tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.train.support import WORDS, write_corpus, write_report


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Runs of fixtures that outlive a test keep the audio tower's outputs here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve utterances of tones."""
    return write_corpus(tmp_path_factory.mktemp("corpus"))


@pytest.fixture(scope="session")
def report(manifest: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """PROCEED on `manifest`; condemns u001 as low quality and skips u002."""
    return write_report(
        tmp_path_factory.mktemp("audit"), manifest, condemned=["u001"], skipped=["u002"]
    )


@pytest.fixture(scope="session")
def processor():
    """A processor of Qwen3-ASR's kind whose tokenizer knows the corpus' words."""
    from asr_gate.train.data.tokenizer import build_processor

    return build_processor([" ".join(WORDS)] * 3, vocabulary=290)
