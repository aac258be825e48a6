"""Audits of the bundled corpus, run once for all tests that read them."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e.asr import asr, asr_here
from tests.once import made_once
from tests.speech import PROCEED, STOP
from tests.tracking.isolation import inherited_wandb_variables, isolated_wandb_environment
from tests.tracking.offline import OfflineRun, read_run


@pytest.fixture(scope="session")
def audited(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `reports/proceed` and `reports/stop`, of all rows of the bundled corpus."""
    with made_once(tmp_path_factory, "audited") as (folder, there):
        for manifest, code in () if there else ((PROCEED, 0), (STOP, 20)):
            done = asr_here(
                "audit", manifest, "--all", "--name", manifest.stem, "--no-wandb", cwd=folder
            )
            assert done.returncode == code, done.stderr
    return folder


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
    (folder / "home").mkdir()
    # Before any test's own: a session's fixture has the tester's environment around it.
    environment = dict.fromkeys(inherited_wandb_variables(), "") | isolated_wandb_environment(
        folder
    )
    environment |= {**NAMED, "WANDB_MODE": "offline", "XDG_CACHE_HOME": str(folder / "cache")}
    environment["OMP_NUM_THREADS"] = "1"  # so small a model gains nothing from more
    write_small(folder / "small.jsonl", shift=0)
    imports = {"PYTHONPROFILEIMPORTTIME": "1"}
    for command, more in (
        (("audit", "small.jsonl", "--all"), imports),
        (TRAINING, {}),
        (
            (
                "eval",
                "runs/round2-tiny/final",
                "small.jsonl",
                "--language",
                "en",
                "--out",
                "evals/one",
            ),
            {},
        ),
    ):
        done = asr(*command, "--wandb", *FLAGS, cwd=folder, **environment, **more)
        assert done.returncode == 0, done.stderr
        if more:
            (folder / "imports.txt").write_text(done.stderr)


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
