"""Where a run stands, on disk, so that one that was stopped goes on as if it had not been.

Tensors are safetensors and the rest is JSON: nothing in it can run.
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
from asr_gate.train.sharding import like, whole

FOLDER = "resume"


@dataclass
class Position:
    """How far a run is."""

    epoch: int = 1
    chunk: int = 0
    """Steps of the epoch that are done."""
    step: int = 0
    """Steps of the run that are done."""
    loss: float = 0.0
    """Sum over the epoch's supervised tokens so far, each by its row's weight, in nats."""
    tokens: float = 0.0
    """Those tokens, by their weights."""
    due: str = ""
    """The checkpoint that is to be written and evaluated before the next step."""
    chunk_size: int = 1
    """Batches a step, over all processes."""
    scores: dict[str, float] = field(default_factory=dict)
    """WER of every checkpoint that was evaluated."""
    recent: list[float] = field(default_factory=list)
    """Losses of the last steps."""


def collect(
    trained: Mapping[str, nn.Parameter], optimizer: torch.optim.Optimizer
) -> Iterator[tuple[str, torch.Tensor]]:
    """What a run has changed, by its name in the state; where it is divided, each process collects.

    Args:
        trained: every parameter that any phase so far trained, by name.
        optimizer: of the present phase.
    """
    for name, parameter in trained.items():
        yield f"parameter/{name}", whole(parameter.detach())
        for key, value in optimizer.state.get(parameter, {}).items():
            yield f"{key}/{name}", whole(value)


def save(out: Path, position: Position, changed: Iterable[tuple[str, torch.Tensor]]) -> None:
    """Write where the run stands; the state before goes only when this one is whole.

    Args:
        out: the run's folder.
        position: how far it is.
        changed: of `collect`.

    Raises:
        UserError: the disk is full or not writable; the state before is left.
    """
    tensors = {name: tensor.cpu().contiguous() for name, tensor in changed}
    folder = out / FOLDER / f"step-{position.step:08d}-{position.epoch}-{position.chunk}"
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
            f"{folder}: the state cannot be written ({error}){kept}; free some space and go on "
            "with --resume"
        ) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def newest(out: Path) -> Path | None:
    """The folder of the newest whole state of a run; None: there is none."""
    return max((out / FOLDER).glob("step-*"), default=None, key=lambda path: path.name)


def position(folder: Path) -> Position:
    """How far the run of a state is.

    Raises:
        UserError: damaged.
    """
    try:
        return Position(**json.loads((folder / "position.json").read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise _damaged(folder, error) from error


def require_chunk_size(folder: Path, position: Position, size: int) -> None:
    """Refuse to go on from a state with another number of batches a step, over all processes.

    Raises:
        UserError: it is another.
    """
    if position.chunk_size != size:
        raise UserError(
            f"{folder}: had {position.chunk_size} batches a step, now there are {size}; go on with "
            "as many processes times optimizer.accumulate as before"
        )


def restore_parameters(folder: Path, model: nn.Module) -> set[str]:
    """Give the model the parameters of a state; returns their names.

    Raises:
        UserError: damaged, or of another model.
    """
    parameters = dict(model.named_parameters())
    names: set[str] = set()
    try:
        with safe_open(folder / "state.safetensors", framework="pt") as tensors, torch.no_grad():
            for key in tensors.keys():  # noqa: SIM118  (it is no mapping)
                kind, _, name = key.partition("/")
                if kind == "parameter":
                    parameters[name].data.copy_(tensors.get_tensor(key))
                    names.add(name)
    except (OSError, SafetensorError, KeyError, RuntimeError) as error:
        raise _damaged(folder, error) from error
    return names


def restore_moments(folder: Path, model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    """Give an optimizer the moments of a state, for the parameters that it trains.

    Raises:
        UserError: damaged, or of another model.
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
                # Counts too: the fused AdamW has them on the parameter's device.
                optimizer.state[parameter][kind] = like(tensors.get_tensor(key), parameter)
    except (OSError, SafetensorError, KeyError, RuntimeError) as error:
        raise _damaged(folder, error) from error


def discard(out: Path) -> None:
    """The run is finished: its state is needed no more."""
    shutil.rmtree(out / FOLDER, ignore_errors=True)


def _damaged(folder: Path, error: Exception) -> UserError:
    return UserError(
        f"{folder}: not a state of this run ({type(error).__name__}); start anew without --resume"
    )
