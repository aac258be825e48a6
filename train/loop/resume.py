"""The state of a run on disk; a run resumed from it continues as if it had never been stopped.

Tensors are safetensors and the rest is JSON, so a state cannot contain code. `state` writes it.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import torch
from pydantic import TypeAdapter
from safetensors import SafetensorError
from torch import distributed, nn
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.checkpoint.hf_storage import HuggingFaceStorageReader
from torch.distributed.checkpoint.state_dict_loader import load

from asr_gate.corpus.errors import UserError
from asr_gate.corpus.files import RECORD_LIMIT
from asr_gate.corpus.strict import read_json
from asr_gate.train.model.parameter_groups import saved_buffers

FOLDER = "resume"
POSITION_FILE = "position.json"
PARAMETER = "parameter"
BUFFER = "buffer"
"""What a model has learnt beside its parameters, as statistics of a batch norm."""
STEP = "step"
"""AdamW's count of a parameter's steps, a single number; its other values are shaped as that."""

DAMAGE = (
    OSError, SafetensorError, ValueError, TypeError, LookupError, ArithmeticError, AssertionError,
    RuntimeError,
)  # fmt: skip
"""What reading an altered file may raise."""


@dataclass
class Position:
    """How far a run has come."""

    epoch: int = 1
    epoch_step: int = 0
    """Finished steps of the epoch."""
    step: int = 0
    """Finished steps of the run."""
    loss: float = 0.0
    """Sum over the epoch's supervised tokens so far, each by its row's weight, in nats."""
    tokens: float = 0.0
    """Sum of the weights of those tokens."""
    checkpoint_due: str = ""
    """Checkpoint to write and evaluate before the next step; empty: none."""
    scores: dict[str, float] = field(default_factory=dict)
    """WER of every evaluated checkpoint, the oldest first."""
    recent: list[float] = field(default_factory=list)
    """Losses of the last steps, at most `step.RECENT_STEPS`."""


def collect(
    model: nn.Module,
    trained: Mapping[str, nn.Parameter],
    optimizer: torch.optim.Optimizer,
) -> dict[str, torch.Tensor]:
    """What a run has changed, by its names in the state; not copied.

    Args:
        model: whose buffers are part of it.
        trained: every parameter that any phase so far trained, by name.
        optimizer: of the current phase.
    """
    changed = {f"{BUFFER}/{name}": buffer for name, buffer in saved_buffers(model).items()}
    for name, parameter in trained.items():
        changed[f"{PARAMETER}/{name}"] = parameter.detach()
        for kind, value in optimizer.state.get(parameter, {}).items():
            changed[f"{kind}/{name}"] = value
    return changed


def newest(out: Path) -> Path | None:
    """Folder of the newest complete state of a run; None: there is none."""
    return max((out / FOLDER).glob("step-*"), default=None, key=lambda path: path.name)


def read_position(folder: Path) -> Position:
    """How far the run of a state had come.

    Raises:
        UserError: the state is damaged.
    """
    try:
        content = read_json(folder / POSITION_FILE, RECORD_LIMIT)
        if sorted(content["files"]) != sorted(path.name for path in folder.glob("*.safetensors")):
            raise ValueError("a file is missing, or one too many")
        return TypeAdapter(Position).validate_python(content["position"])
    except DAMAGE as error:
        raise _damaged(folder, error) from error


def restore_parameters(folder: Path, model: nn.Module) -> set[str]:
    """Load the parameters and buffers of a state into the model; returns the parameters' names.

    Every process calls this; each reads what it needs.

    Raises:
        UserError: the state is damaged, or of another model.
    """
    parameters = dict(model.named_parameters())
    with _damage_is_one_line(folder):
        names = {name for kind, name in _keys(folder) if kind == PARAMETER}
        wanted = {f"{PARAMETER}/{name}": parameters[name].detach() for name in names}
        _load(
            folder, wanted | {f"{BUFFER}/{name}": one for name, one in saved_buffers(model).items()}
        )
    return names


def restore_moments(folder: Path, model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    """Load the moments of a state into an optimizer, for the parameters that it trains.

    Every process calls this; of a sharded parameter each reads its shard.

    Raises:
        UserError: the state is damaged, or of another model.
    """
    parameters = dict(model.named_parameters())
    mine = {id(p) for group in optimizer.param_groups for p in group["params"]}
    with _damage_is_one_line(folder):
        found = [
            (kind, name, parameters[name])
            for kind, name in _keys(folder)
            if kind not in (PARAMETER, BUFFER)
        ]
    moments: dict[str, torch.Tensor] = {}
    for kind, name, parameter in found:
        if id(parameter) in mine:
            # Step counts too: the fused AdamW keeps them on the parameter's device.
            moment = torch.zeros((), device=parameter.device)
            if kind != STEP:
                moment = torch.zeros_like(parameter, requires_grad=False)
            optimizer.state[parameter][kind] = moments[f"{kind}/{name}"] = moment
    with _damage_is_one_line(folder):
        _load(folder, moments)


def _keys(folder: Path) -> list[tuple[str, str]]:
    """Kind and parameter's name of every tensor of a state."""
    found = HuggingFaceStorageReader(str(folder)).read_metadata().state_dict_metadata
    return [(kind, name) for kind, _, name in (key.partition("/") for key in sorted(found))]


def _load(folder: Path, tensors: dict[str, torch.Tensor]) -> None:
    """Fill the tensors, whole or sharded, with what the state has under their names."""
    reader = HuggingFaceStorageReader(str(folder))
    load(tensors, storage_reader=reader, no_dist=not distributed.is_initialized())


def discard(out: Path) -> None:
    """Delete the state of a finished run."""
    shutil.rmtree(out / FOLDER, ignore_errors=True)


@contextmanager
def _damage_is_one_line(folder: Path) -> Iterator[None]:
    try:
        yield
    except CheckpointException as failure:
        error = next(iter(failure.failures.values()))[0]
        if not isinstance(error, DAMAGE):
            raise error from failure  # as Ctrl-C
        raise _damaged(folder, error) from failure
    except DAMAGE as error:
        raise _damaged(folder, error) from error


def _damaged(folder: Path, error: Exception) -> UserError:
    return UserError(
        f"{folder}: not a state of this run ({type(error).__name__}); start a new run without "
        "--resume"
    )
