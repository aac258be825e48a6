"""Audits of the bundled corpus, run once for all tests that read them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from asr_gate.corpus.cache import VARIABLE
from tests.e2e.asr import asr, asr_here
from tests.once import made_once
from tests.speech import PROCEED, STOP
from tests.tracking.isolation import isolated_wandb
from tests.tracking.offline import OfflineRun, read_run


@pytest.fixture(scope="session")
def audited(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `reports/proceed` and `reports/stop`, of all rows of the bundled corpus, and
    `cache`, what was measured for them."""
    with made_once(tmp_path_factory, "audited") as (folder, there):
        for manifest, code in () if there else ((PROCEED, 0), (STOP, 20)):
            with pytest.MonkeyPatch.context() as patch:
                for name, value in cache_of(folder).items():
                    patch.setenv(name, value)
                done = asr_here(
                    "audit", manifest, "--all", "--name", manifest.stem, "--no-wandb", cwd=folder
                )
            assert done.returncode == code, done.stderr
    return folder


def cache_of(audited: Path) -> dict[str, str]:
    """Variables for audits that keep there what they measure, and take it from there."""
    return {VARIABLE: "1", "XDG_CACHE_HOME": str(audited / "cache")}


@pytest.fixture
def measured(audited: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Audits of this test take measurements of the bundled corpus from the cache of `audited`."""
    for name, value in cache_of(audited).items():
        monkeypatch.setenv(name, value)


NAMED = {
    "WANDB_PROJECT": "of-the-environment",
    "WANDB_RUN_NAME": "of-the-environment",
    "WANDB_TAGS": "of-the-environment",
    "WANDB_RUN_GROUP": "of-the-environment",
    "WANDB_NOTES": "of-the-environment",
}
FLAGS = (
    "--wandb-project", "of-the-flag", "--wandb-run-name", "of-the-flag", "--wandb-tags", "one,two",
    "wandb.group=of-the-key",
)  # fmt: skip
TRAINING = (
    "train", "round2-tiny", "--data", "small.jsonl", "--report", "reports/phase0",
    "model.tiny.vocabulary=300", "data.batch_seconds=30", "data.evaluation_share=0.2",
    "evaluation.max_new_tokens=8", "phases.0.epochs=[1]", "phases.1.epochs=[2]",
    "wandb.log_interval=2", "wandb.detailed_interval=4",
    "wandb.watch.gradients=true", "wandb.watch.parameters=true", "wandb.watch.every=2",
)  # fmt: skip
EVALUATION = (
    "eval", "runs/round2-tiny/final", "small.jsonl", "--language", "en", "--out", "evals/one",
)  # fmt: skip


@dataclass(frozen=True)
class Tracked:
    """An audit, a training from it and an evaluation of its model, tracked offline."""

    folder: Path
    audit: OfflineRun
    train: OfflineRun
    eval: OfflineRun

    @property
    def rows(self) -> int:
        """Of the corpus, all of them sampled."""
        return len((self.folder / "small.jsonl").read_text().splitlines())


@pytest.fixture(scope="session")
def tracked(tmp_path_factory: pytest.TempPathFactory) -> Tracked:
    with made_once(tmp_path_factory, "tracked") as (folder, there):
        if not there:
            _track(folder)
    kinds = {run.job_type: run for run in map(read_run, folder.glob("wandb/offline-run-*"))}
    return Tracked(folder, kinds["data_quality"], kinds["train"], kinds["evaluation"])


def _track(folder: Path) -> None:
    write_small(folder / "small.jsonl", shift=0)
    with isolated_wandb(folder), pytest.MonkeyPatch.context() as patch:
        named = {**NAMED, "WANDB_MODE": "offline", "XDG_CACHE_HOME": str(folder / "cache")}
        for name, value in named.items():
            patch.setenv(name, value)
        # In a process of its own, which says what it imports.
        audit = asr(
            *("audit", "small.jsonl", "--all", "--wandb", *FLAGS),
            cwd=folder,
            PYTHONPROFILEIMPORTTIME="1",
        )
        assert audit.returncode == 0, audit.stderr
        (folder / "imports.txt").write_text(audit.stderr)
        for command in (TRAINING, EVALUATION):
            done = asr_here(*command, "--wandb", *FLAGS, cwd=folder)
            assert done.returncode == 0, done.stderr


@pytest.fixture
def client(tmp_path: Path) -> Iterator[None]:
    """W&B's client in this process, without a login; runs go to `tmp_path`."""
    with isolated_wandb(tmp_path):
        yield


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A manifest of sound utterances of the bundled corpus: an audit of seconds, and enough of them
    to measure the detection power.
    """
    return write_small(tmp_path / "small.jsonl", shift=0)


@pytest.fixture
def small_stop(tmp_path: Path) -> Path:
    """The same recordings, each with the text of another."""
    return write_small(tmp_path / "small_stop.jsonl", shift=3)


def write_small(path: Path, shift: int) -> Path:
    # Where all texts are another's, no more of them than leave it open whether that can be told.
    count = 8 if shift else 14
    rows = [json.loads(line) for line in PROCEED.read_text().splitlines()[:count]]
    texts = [row["text"] for row in rows]
    (path.parent / "audio").mkdir(exist_ok=True)
    for row, text in zip(rows, texts[shift:] + texts[:shift], strict=True):
        row["text"] = text
        shutil.copy(PROCEED.parent / row["audio_filepath"], path.parent / "audio")
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path
