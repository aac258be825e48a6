"""The trace of a few steps, and where their time goes."""

from __future__ import annotations

import gzip
import json
import time
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.profiler import record_function
from torch.utils.data import DataLoader

from asr_gate.corpus.errors import UserError
from asr_gate.train.loop.events import StepRecord
from asr_gate.train.observe.step_profile import PARTS, SKIPPED, STEPS, WARM, StepProfile, in_words


def work(profile: StepProfile, steps: int) -> list[float]:
    """Steps as the loop takes them; the seconds of each."""
    model = nn.Linear(512, 512)
    optimizer = torch.optim.AdamW(model.parameters())
    walls = []
    last = time.perf_counter()
    for number, batch in enumerate(DataLoader(torch.randn(8 * steps, 512), batch_size=8), start=1):
        with record_function("asr.forward"):
            loss = model(batch).square().mean()
        with record_function("asr.backward"):
            loss.backward()
        optimizer.step()
        walls.append(time.perf_counter() - last)
        profile.step_done(
            StepRecord(number, 1, "B", loss.item(), None, 1.0, {}, 8, 8, 8.0, walls[-1])
        )
        last = time.perf_counter()
    profile.close()
    return walls


def test_the_steps_after_the_first_are_traced_and_divided(tmp_path: Path) -> None:
    profile = StepProfile(tmp_path)
    walls = work(profile, 12)
    told = json.loads((tmp_path / "profile" / "steps.json").read_text())
    assert told == profile.summary
    assert told["steps"] == STEPS
    first = SKIPPED + WARM
    traced = walls[first : first + STEPS]
    assert told["step_ms"] == pytest.approx(1e3 * sum(traced) / STEPS)
    assert told["parts"].keys() == PARTS.keys()
    spent = [part["processor_ms"] for part in told["parts"].values()]
    assert all(part > 0 for part in spent)
    assert sum(spent) < 1.2 * told["step_ms"]
    trace = json.loads(gzip.decompress((tmp_path / "profile" / "trace.json.gz").read_bytes()))
    names = [event.get("name") for event in trace["traceEvents"]]
    assert names.count("asr.backward") == STEPS
    line = in_words(told)
    assert line.startswith(f"a step takes {told['step_ms']:.1f} ms (batches ")
    assert line.endswith("mean of 5")


@pytest.mark.parametrize(("steps", "traced"), [(SKIPPED, 0), (SKIPPED + WARM + 2, 2)])
def test_a_run_of_few_steps_traces_what_there_is(steps: int, traced: int, tmp_path: Path) -> None:
    profile = StepProfile(tmp_path)
    work(profile, steps)
    if traced:
        assert profile.summary is not None
        assert profile.summary["steps"] == traced
    else:
        assert profile.summary is None
        assert not (tmp_path / "profile").exists()


def test_a_folder_that_takes_no_files_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "profile").write_text("a file in its place")
    profile = StepProfile(tmp_path)
    with pytest.raises(UserError, match="profile: cannot be written"):
        work(profile, 12)
    profile.close()
