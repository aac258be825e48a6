"""Parts of one step of the optimizer: gradients of several batches, and the check of the loss."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from statistics import median

import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.profiler import record_function

from asr_gate.train.data.examples import Batch
from asr_gate.train.families.interface import InputCache, Objective
from asr_gate.train.model.arithmetic import compute_type, moved
from asr_gate.train.model.memory import GIB, memory_explained, named, sized
from asr_gate.train.model.parameter_groups import MatchedGroup
from asr_gate.train.recipes import Phase, Recipe

MOMENTS = 8
"""Bytes of AdamW's two moments for each trained value."""
RECENT_STEPS = 100
"""Steps whose losses a new loss is compared with."""
FEWEST_STEPS = 20
"""Steps that are needed before a jump of the loss means anything."""


@dataclass(frozen=True)
class ActivePhase:
    """A phase while it trains."""

    phase: Phase
    groups: Sequence[MatchedGroup]
    objective: nn.Module
    """The loss of a batch; may be wrapped for several processes."""
    optimizer: torch.optim.AdamW
    cache: InputCache | None

    @property
    def loss(self) -> Objective:
        """The objective without what it is wrapped in."""
        inner = getattr(self.objective, "module", self.objective)
        assert isinstance(inner, Objective)
        return inner

    @property
    def parameters(self) -> dict[str, nn.Parameter]:
        """What the phase trains, by name."""
        return {name: p for group in self.groups for name, p in group.parameters.items()}


def count(batches: Sequence[Batch]) -> list[float]:
    """Weighted tokens, supervised tokens, seconds of audio, and rows of some batches."""
    return [
        sum(weighted_tokens(batch) for batch in batches),
        sum(sum(batch.targets) for batch in batches),
        sum(row.seconds for batch in batches for row in batch.rows),
        sum(len(batch.rows) for batch in batches),
    ]


def backward(
    active: ActivePhase,
    batches: Sequence[Batch],
    tokens: float,
    *,
    world: int,
    device: torch.device,
    recipe: Recipe,
) -> float:
    """Compute the gradients of this process; returns its share of the step's mean loss.

    Args:
        active: the phase that trains.
        batches: batches of this process.
        tokens: weighted tokens of the batches of all processes.
        world: number of processes.
        device: where the model is.
        recipe: of the run, for the advice if memory runs out.
    """
    total = torch.zeros((), device=device)
    objective = active.objective
    ddp = isinstance(objective, DistributedDataParallel)
    for number, batch in enumerate(batches, start=1):
        wait = ddp and number < len(batches)
        apart = objective.no_sync() if wait else nullcontext()  # type: ignore[operator]
        with apart, memory_explained(partial(_batch_advice, active.phase, batch, recipe)):
            # The names are those that `observe.step_profile` looks for.
            with record_function("asr.forward"), compute_type(device):
                loss = objective(**_inputs(active, batch, device)) / tokens
            # DDP takes the mean over the processes, but the sum is needed.
            with record_function("asr.backward"):
                (loss * world if ddp else loss).backward()
            total += loss.detach()
    return float(total)


def usual_loss(recent: Sequence[float]) -> float | None:
    """The median of the last steps' losses; None: there are fewer than `FEWEST_STEPS`."""
    return median(recent) if len(recent) >= FEWEST_STEPS else None


def divergence(loss: float, norm: float, usual: float | None, leap: float) -> str | None:
    """What is wrong with a step; None: nothing.

    Args:
        loss: loss of the step.
        norm: norm of its gradients.
        usual: see `usual_loss`.
        leap: factor over the usual loss that is too much; 0: none is.
    """
    if not math.isfinite(loss):
        return "the loss is not a finite number"
    if not math.isfinite(norm):
        return "a gradient is not a finite number"
    if leap and usual is not None and loss > leap * usual:
        return (
            f"the loss jumped to {loss:.3g}, {loss / usual:.1f} times the usual loss "
            f"(optimizer.leap is {leap:g})"
        )
    return None


def named_rows(batches: Sequence[Batch]) -> str:
    """The ids of the batches' rows, for messages; empty: there are none."""
    return named([row for batch in batches for row in batch.rows])


def weighted_tokens(batch: Batch) -> float:
    """Tokens with loss, each counted by its row's weight."""
    return float(torch.tensor(batch.targets).double() @ row_weights(batch).double())


def row_weights(batch: Batch) -> torch.Tensor:
    """Weight of each row's tokens, shape (rows,), float32."""
    return torch.tensor([row.weight for row in batch.rows])


def _inputs(active: ActivePhase, batch: Batch, device: torch.device) -> dict[str, torch.Tensor]:
    cache = active.cache if batch.rows else None
    given = batch.inputs if cache is None else cache.inputs_of(batch)
    # Counted here, on the host; otherwise the model would wait for the device again and again.
    packed = active.loss.pack(given)
    if any(row.weight != 1 for row in batch.rows):
        packed["weights"] = row_weights(batch)
    return moved(packed, device, active.loss.on_host)


def _batch_advice(phase: Phase, batch: Batch, recipe: Recipe) -> str:
    """Which batch did not fit, and what to change."""
    key = f"phases.{recipe.phases.index(phase)}.gradient_checkpointing=true"
    first = "" if phase.gradient_checkpointing else f"set {key}, or "
    data = recipe.data
    return (
        f"in phase {phase.name}, on {sized(batch.rows)}: {first}lower data.batch_tokens (now "
        f"{data.batch_tokens}) or data.batch_seconds (now {data.batch_seconds:g}), and raise "
        "optimizer.accumulate as much"
    )


def moments_advice(active: ActivePhase) -> str:
    """That the optimizer's moments did not fit, and what to change."""
    size = MOMENTS * sum(p.numel() for p in active.parameters.values())
    return (
        f"in the optimizer's step of phase {active.phase.name}, whose moments take "
        f"{size / GIB:.1f} GiB: train fewer parameters (recipe lora), or divide them between "
        "several GPUs with sharding=fsdp2"
    )
