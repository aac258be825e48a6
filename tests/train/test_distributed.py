"""Two processes train as one does, and stay equal."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from asr_gate.corpus.errors import UserError
from asr_gate.train.distributed import Ranks, ranks
from asr_gate.train.families.qwen3_asr.load import load_pretrained
from asr_gate.train.loop.resume import restore_parameters
from tests.speech import ROOT
from tests.train.families.recipes import IN_TWO_PROCESSES, SHARDED
from tests.train.trainings import terminated_at, train

pytestmark = pytest.mark.slow


ACCELERATE = (
    "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2", "--num_machines", "1",
    "--mixed_precision", "no", "--dynamo_backend", "no", "--main_process_port", "0",
)  # fmt: skip
"""As on a machine with two GPUs; on processors its own choice would be MPI, which is not here."""


def told(out: Path) -> dict:
    return json.loads((out / "run.json").read_text())


WEIGHTED = IN_TWO_PROCESSES["qwen3-asr"][1]


def test_two_processes_do_what_one_does_with_twice_the_accumulation(
    two: Path, manifest: Path, report: Path, tmp_path: Path
) -> None:
    one, two = tmp_path / "one", two / "qwen3-asr"
    train(manifest, report.parent, *WEIGHTED, "optimizer.accumulate=2", out=one)
    digests = [json.loads((two.parent / f"{two.name}-rank{n}.json").read_text()) for n in (0, 1)]
    assert digests[0] == digests[1], "equal to the bit on both ranks, in both phases"
    assert len(set(digests[0])) == 3, "and trained in every epoch"
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
    assert sorted(p.name for p in two.parent.glob("qwen3-asr*")) == [
        "qwen3-asr", "qwen3-asr-rank0.json", "qwen3-asr-rank1.json",
    ], "one run, in one folder"  # fmt: skip


def test_a_sharded_model_is_resumed_by_one_process_and_that_by_accelerate_with_two(
    two: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, manifest, report, *_ = json.loads((two / "jobs.json").read_text())[-1]
    run = tmp_path / "runs" / "round2-tiny"
    shutil.copytree(two / "sharded", run)
    two /= "qwen3-asr"
    assert told(run)["reason"] == "by SIGTERM after step 2"
    (state,) = run.glob("resume/step-*")
    assert len(list(state.glob("*.safetensors"))) == 2, "each process wrote its part"
    trained = {"model.audio_tower.layers.2."} | restore_parameters(
        state, load_pretrained(str(two / "final"), None, untie=True)
    )
    with monkeypatch.context() as patch:
        terminated_at(patch, 3)
        train(
            Path(manifest), Path(report), *WEIGHTED, "checkpoints.state_every_steps=1",
            "optimizer.accumulate=2", out=run, resume=True,
        )  # fmt: skip
    assert told(run)["reason"] == "by SIGTERM after step 4"
    (state,) = run.glob("resume/step-*")
    assert len(list(state.glob("*.safetensors"))) == 1
    assert told(run)["plan"]["processes"] == told(run)["config"]["optimizer"]["accumulate"] - 1 == 1
    done = subprocess.run(
        [
            *(sys.executable, "-m", *ACCELERATE, "-m", "asr_gate", "train", "round2-tiny"),
            *("--data", manifest, "--report", report, "--resume", "--wandb"),
            *("wandb.mode=offline", f"wandb.folder={tmp_path}", *SHARDED[1]),
        ],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True,
        timeout=240,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    divided, whole = told(run), told(two)
    assert divided["status"] == "finished"
    assert divided["plan"]["memory"] == whole["plan"]["memory"] // 2
    assert [s["loss"] for s in divided["steps"]] == pytest.approx(
        [s["loss"] for s in whole["steps"]], rel=1e-5
    )
    assert [e["evaluation"] for e in divided["epochs"]] == [
        {**e["evaluation"], "loss": pytest.approx(e["evaluation"]["loss"], rel=1e-5),
         "domains": {name: {**one, "loss": pytest.approx(one["loss"], rel=1e-5)}
                     for name, one in e["evaluation"]["domains"].items()}}
        for e in whole["epochs"]
    ]  # fmt: skip
    for epoch in ("epoch-2", "epoch-3"):
        ours, theirs = (load_file(out / epoch / "model.safetensors") for out in (run, two))
        assert ours.keys() == theirs.keys()
        for name, tensor in theirs.items():
            if name.startswith(tuple(trained)):
                torch.testing.assert_close(ours[name], tensor, rtol=1e-5, atol=1e-5)
            else:
                assert torch.equal(ours[name], tensor), f"{name} is frozen"
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["round2-tiny"]
    # Of each start, the first process alone tracks and logs.
    for pattern, count in (("wandb/offline-run-*", 1), ("runs/*/tensorboard/*", 3)):
        assert len(list(tmp_path.glob(pattern))) == count, pattern
    lines = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    logged = {line["step"] for line in lines if line.get("event") == "step"}
    assert sorted(logged) == list(range(1, divided["plan"]["steps"] + 1))
    assert len([line for line in lines if line.get("event") == "end"]) == 3


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
