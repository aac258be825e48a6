"""The state of a run on disk; a run resumed from it continues as if it had never been stopped.

Tensors are safetensors and the rest is JSON, so a state cannot contain code.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn

from asr_gate.corpus.errors import UserError
from asr_gate.corpus.files import RECORD_LIMIT
from asr_gate.corpus.strict import read_json
from asr_gate.train.loop.sharding import like, whole

FOLDER = "resume"


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
    batches_per_step: int = 1
    """Of all processes together."""
    scores: dict[str, float] = field(default_factory=dict)
    """WER of every evaluated checkpoint, the oldest first."""
    recent: list[float] = field(default_factory=list)
    """Losses of the last steps, at most `step.RECENT_STEPS`."""


def collect(
    trained: Mapping[str, nn.Parameter], optimizer: torch.optim.Optimizer
) -> Iterator[tuple[str, torch.Tensor]]:
    """Parameters and moments that a run has changed, by their names in the state.

    If the model is sharded, every process has to collect, because each tensor is gathered.

    Args:
        trained: every parameter that any phase so far trained, by name.
        optimizer: of the current phase.
    """
    for name, parameter in trained.items():
        yield f"parameter/{name}", whole(parameter.detach())
        for key, value in optimizer.state.get(parameter, {}).items():
            yield f"{key}/{name}", whole(value)


def save(out: Path, position: Position, changed: Iterable[tuple[str, torch.Tensor]]) -> None:
    """Write a state; the one before is deleted only when this one is complete.

    Args:
        out: the run's folder.
        position: how far the run has come.
        changed: from `collect`.

    Raises:
        UserError: the disk is full or not writable; the state before is kept.
    """
    tensors = {name: tensor.cpu().contiguous() for name, tensor in changed}
    folder = out / FOLDER / f"step-{position.step:08d}-{position.epoch}-{position.epoch_step}"
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        partial.mkdir(parents=True)
        save_file(tensors, partial / "state.safetensors")
        (partial / "position.json").write_text(json.dumps(asdict(position)), encoding="utf-8")
        before = [path for path in folder.parent.glob("step-*") if path != folder]
        shutil.rmtree(folder, ignore_errors=True)
        partial.rename(folder)
        for old in before:
            shutil.rmtree(old)
    except (OSError, SafetensorError) as error:
        left = newest(out)
        kept = f"; the last good one is {left}" if left else ""
        raise UserError(
            f"{folder}: the state cannot be written ({error}){kept}; free some space and continue "
            "with --resume"
        ) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def newest(out: Path) -> Path | None:
    """Folder of the newest complete state of a run; None: there is none."""
    return max((out / FOLDER).glob("step-*"), default=None, key=lambda path: path.name)


def read_position(folder: Path) -> Position:
    """How far the run of a state had come.

    Raises:
        UserError: the state is damaged.
    """
    try:
        return Position(**read_json(folder / "position.json", RECORD_LIMIT))
    except (OSError, ValueError, TypeError) as error:
        raise _damaged(folder, error) from error


def require_batches_per_step(folder: Path, position: Position, size: int) -> None:
    """Refuse to resume with another number of batches per step, over all processes.

    Raises:
        UserError: the number is another.
    """
    if position.batches_per_step != size:
        raise UserError(
            f"{folder}: had {position.batches_per_step} batches per step, now there are {size}; "
            "processes times optimizer.accumulate must be as before"
        )


def restore_parameters(folder: Path, model: nn.Module) -> set[str]:
    """Load the parameters of a state into the model; returns their names.

    Raises:
        UserError: the state is damaged, or of another model.
    """
    parameters = dict(model.named_parameters())
    names: set[str] = set()
    try:
        with safe_open(folder / "state.safetensors", framework="pt") as tensors, torch.no_grad():
            for key in tensors.keys():  # noqa: SIM118  (not a mapping)
                kind, _, name = key.partition("/")
                if kind == "parameter":
                    parameters[name].data.copy_(tensors.get_tensor(key))
                    names.add(name)
    except (OSError, SafetensorError, KeyError, RuntimeError) as error:
        raise _damaged(folder, error) from error
    return names


def restore_moments(folder: Path, model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    """Load the moments of a state into an optimizer, for the parameters that it trains.

    Raises:
        UserError: the state is damaged, or of another model.
    """
    parameters = dict(model.named_parameters())
    mine = {id(p) for group in optimizer.param_groups for p in group["params"]}
    try:
        with safe_open(folder / "state.safetensors", framework="pt") as tensors:
            for key in tensors.keys():  # noqa: SIM118
                kind, _, name = key.partition("/")
                parameter = parameters[name]
                if kind == "parameter" or id(parameter) not in mine:
                    continue
                # Step counts too: the fused AdamW keeps them on the parameter's device.
                optimizer.state[parameter][kind] = like(tensors.get_tensor(key), parameter)
    except (OSError, SafetensorError, KeyError, RuntimeError) as error:
        raise _damaged(folder, error) from error


def discard(out: Path) -> None:
    """Delete the state of a finished run."""
    shutil.rmtree(out / FOLDER, ignore_errors=True)


def _damaged(folder: Path, error: Exception) -> UserError:
    return UserError(
        f"{folder}: not a state of this run ({type(error).__name__}); start a new run without "
        "--resume"
    )
