"""Two processes train as one does, and stay equal."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from corpus.errors import UserError
from tests.speech import ROOT
from tests.train.test_run import SMALL
from train.distributed import Ranks, ranks

pytestmark = pytest.mark.slow

SHORT = (*SMALL, "phases.0.epochs=[1,2]", "phases.1.epochs=[3]", "data.batch_seconds=1.7")


TORCHRUN = ("torch.distributed.run", "--nproc-per-node", "2", "--rdzv-backend", "c10d",
            "--rdzv-endpoint", "localhost:0")  # fmt: skip
ACCELERATE = (
    "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2", "--num_machines", "1",
    "--mixed_precision", "no", "--dynamo_backend", "no", "--main_process_port", "0",
)  # fmt: skip
"""As on a machine with two GPUs; on processors its own choice would be MPI, which is not here."""


def launch(launcher: tuple[str, ...], *arguments: object, cwd: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", *launcher, *map(str, arguments)],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def finish(process: subprocess.Popen[str]) -> str:
    said, _ = process.communicate(timeout=240)
    assert process.returncode == 0, said
    return said


def told(out: Path) -> dict:
    return json.loads((out / "run.json").read_text())


def test_two_processes_do_what_one_does_with_twice_the_accumulation(
    manifest: Path, report: Path, tmp_path: Path
) -> None:
    script = Path(__file__).with_name("two_ranks.py")
    two, one = tmp_path / "two", tmp_path / "one"
    finish(launch(TORCHRUN, script, manifest, report.parent, two, *SHORT, cwd=tmp_path))
    done = subprocess.run(
        [sys.executable, script, manifest, report.parent, one, *SHORT, "optimizer.accumulate=2"],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    digests = [json.loads((tmp_path / f"two-rank{n}.json").read_text()) for n in (0, 1)]
    assert digests[0] == digests[1], "equal to the bit on both ranks, in both phases"
    assert len({d for (d,) in digests[0]}) == 3, "and trained in every epoch"
    ours, theirs = told(two), told(one)
    assert ours["plan"]["steps"] == theirs["plan"]["steps"] > 6
    assert [s["loss"] for s in ours["steps"]] == pytest.approx(
        [s["loss"] for s in theirs["steps"]], rel=1e-5
    )
    assert len(ours["epochs"]) == len(theirs["epochs"]) == 3
    first, last = (load_file(two / name / "model.safetensors") for name in ("epoch-2", "epoch-3"))
    thawed = [name for name in first if name.startswith("model.audio_tower.layers.2.")]
    frozen = [name for name in first if name.startswith("model.audio_tower.layers.0.")]
    assert thawed and frozen
    assert not any(torch.equal(first[n], last[n]) for n in thawed if first[n].ndim > 1)
    assert all(torch.equal(first[n], last[n]) for n in frozen)
    assert sorted(p.name for p in tmp_path.glob("two*")) == [
        "two", "two-rank0.json", "two-rank1.json",
    ], "one run, in one folder"  # fmt: skip


def test_torchrun_starts_it_sigterm_stops_it_and_accelerate_goes_on(
    manifest: Path, report: Path, tmp_path: Path
) -> None:
    command = ("-m", "cli.main", "train", "round2-tiny", "--data", manifest, "--report",
               report.parent, "--no-wandb", *SHORT, "checkpoints.state_every_steps=1")  # fmt: skip
    process = launch(TORCHRUN, *command, cwd=tmp_path)
    state = tmp_path / "runs" / "round2-tiny" / "resume"
    until = time.monotonic() + 200
    while not list(state.glob("step-*")) and process.poll() is None and time.monotonic() < until:
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=200)
    run = tmp_path / "runs" / "round2-tiny"
    stopped = told(run)
    assert stopped["status"] == "stopped"
    assert stopped["reason"].startswith("by SIGTERM after step ")
    finish(launch(ACCELERATE, *command, "--resume", cwd=tmp_path))
    finished = told(run)
    assert finished["status"] == "finished"
    steps = [step["step"] for step in finished["steps"]]
    assert steps == list(range(1, finished["plan"]["steps"] + 1))
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["round2-tiny"]


def test_the_launcher_s_environment_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    assert ranks() == Ranks(0, 1, 0)
    monkeypatch.setenv("RANK", "3")
    monkeypatch.setenv("WORLD_SIZE", "4")
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert ranks() == Ranks(3, 4, 1)
    assert not ranks().main
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(UserError, match="does not fit"):
        ranks()
    monkeypatch.setenv("WORLD_SIZE", "two")
    with pytest.raises(UserError, match="no number"):
        ranks()
