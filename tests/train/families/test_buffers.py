"""What a model learns beside its parameters is in states, checkpoints and averages."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn

from asr_gate.train.distributed import Ranks
from asr_gate.train.evaluation.average import _set_to_mean
from asr_gate.train.loop.resume import Position, collect, newest, restore_parameters
from asr_gate.train.loop.state import StateWriter


def model(mean: float) -> nn.Sequential:
    """A batch norm that has seen data of this mean."""
    one = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    one[1].running_mean.fill_(mean)  # type: ignore[union-attr, operator]
    return one


def test_a_state_restores_them(tmp_path: Path) -> None:
    trained, other = model(3.0), model(0.0)
    optimizer = torch.optim.AdamW(trained.parameters())
    with StateWriter(tmp_path, Ranks()) as writer:
        writer.save(Position(step=1), collect(trained, dict(trained.named_parameters()), optimizer))
    state = newest(tmp_path)
    assert state is not None
    assert restore_parameters(state, other) == {name for name, _ in trained.named_parameters()}
    for name, tensor in trained.state_dict().items():
        assert torch.equal(other.state_dict()[name], tensor), name


def test_an_average_has_their_mean(tmp_path: Path) -> None:
    folders = []
    for mean in (1.0, 4.0):
        folders.append(tmp_path / str(mean))
        folders[-1].mkdir()
        save_file(model(mean).state_dict(), folders[-1] / "model.safetensors")
    found = model(0.0)
    _set_to_mean(found, folders)
    assert found[1].running_mean.tolist() == [2.5, 2.5]  # type: ignore[union-attr, operator]
