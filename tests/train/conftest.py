"""A small corpus, its report, a processor and two trainings, made once for the trainer's tests."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from asr_gate.train import launch
from asr_gate.train.run import TrainResult
from tests.once import made_once
from tests.speech import ROOT
from tests.train.families.recipes import IN_TWO_PROCESSES, SHARDED
from tests.train.support import WORDS, write_corpus, write_report
from tests.train.trainings import TWO_EPOCHS, train


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Runs of fixtures that outlive a test keep the audio tower's outputs here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Each test works in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve utterances of tones."""
    return write_corpus(tmp_path_factory.mktemp("corpus"))


@pytest.fixture(scope="session")
def report(manifest: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """PROCEED on `manifest`; excludes u001 as low quality and skips u002."""
    return write_report(
        tmp_path_factory.mktemp("audit"), manifest, excluded=["u001"], skipped=["u002"]
    )


@pytest.fixture(scope="session")
def processor():
    """A processor of Qwen3-ASR's kind whose tokenizer knows the corpus' words."""
    from asr_gate.train.families.qwen3_asr.tokenizer import build_processor

    return build_processor([" ".join(WORDS)] * 3, vocabulary=290)


@pytest.fixture(scope="session")
def finished(manifest: Path, report: Path, tmp_path_factory: pytest.TempPathFactory) -> TrainResult:
    """All five epochs on the small corpus."""
    return train(manifest, report, out=tmp_path_factory.mktemp("finished") / "r")


@pytest.fixture(scope="session")
def two_epochs(
    manifest: Path, report: Path, tmp_path_factory: pytest.TempPathFactory
) -> TrainResult:
    """An epoch in each phase on the small corpus."""
    return train(manifest, report, *TWO_EPOCHS, out=tmp_path_factory.mktemp("two") / "r")


@pytest.fixture(scope="session")
def two(manifest: Path, report: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run of two processes for each family, as `asr train --processes 2` has it,
    and with `sharded`, the run of Qwen3-ASR stopped after some steps with its model in two parts.

    One start for all of them, since a start takes longer than the training.
    """
    with (
        made_once(tmp_path_factory, "ddp") as (folder, there),
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setattr(
            launch, "COMMAND", (sys.executable, str(Path(__file__).with_name("two_ranks.py")))
        )
        patch.setenv("PYTHONPATH", str(ROOT))
        patch.chdir(folder)
        jobs = {**IN_TWO_PROCESSES, "sharded": SHARDED}
        file = folder / "jobs.json"
        file.write_text(
            json.dumps(
                [
                    [recipe, str(manifest), str(report.parent), str(folder / name), *overrides]
                    for name, (recipe, overrides) in jobs.items()
                ]
            )
        )
        assert there or launch.start(2, [str(file)]) == 0
    return folder
