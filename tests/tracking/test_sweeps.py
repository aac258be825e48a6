"""Sweeps on W&B's server, as far as a server on loopback goes: created, and run by its agent."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
import yaml
from wandb.wandb_agent import Agent, run_agent

from asr_gate.rounds.sweep.server import create
from asr_gate.rounds.sweep.space import Settings
from asr_gate.tracking import TrackerSettings, TrackingError
from tests.rounds.sweep.support import RANDOM, make_data, sweep
from tests.tracking.isolation import ROOT
from tests.tracking.loopback import ENTITY, Loopback

TRIAL: Settings = {"learning_rate": 0.5, "warmup": 0.1}


def test_the_real_agent_starts_a_trial(
    server: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_data()
    made = sweep(RANDOM + "run_cap: 1\n")
    assert create(made, TrackerSettings(project="speech")) == f"{ENTITY}/speech/sweep0"
    sent = yaml.safe_load(server.sweeps["sweep0"]["config"])
    assert sent["command"] == ["asr", "sweep", "trial", "sweeps/sweep", "${args}"]
    assert {**sent, "command": 0, "name": 0} == {**yaml.safe_load(RANDOM), "run_cap": 1} | {
        "command": 0,
        "name": 0,
    }
    command = tmp_path / "bin" / "asr"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m tests.rounds.sweep.trial "$@"\n')
    command.chmod(0o755)
    server.trials = [TRIAL]
    monkeypatch.setenv("PATH", f"{command.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    for name in ("WANDB_SWEEP_ID", "WANDB_ENTITY", "WANDB_PROJECT", "WANDB_RUN_ID"):
        monkeypatch.setenv(name, "")  # the agent sets them in this process
    monkeypatch.setattr(Agent, "POLL_INTERVAL", 0.2)
    run_agent("sweep0", entity=ENTITY, project="speech", count=1)
    (row,) = made.status().rows
    assert row.state == "complete" and row.settings == TRIAL


def test_without_a_login_it_is_one_line(fresh_client: None) -> None:
    make_data()
    with pytest.raises(TrackingError, match="no login"):
        create(sweep(RANDOM), TrackerSettings(project="speech"))
