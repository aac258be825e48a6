"""The largest batches of every phase, tried before the first step: memory runs out now or never."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from itertools import chain

import numpy as np
import torch
from torch import nn

from asr_gate.train.data.examples import Batch, Encoder
from asr_gate.train.data.rows import Row
from asr_gate.train.families.interface import Family, Objective
from asr_gate.train.loop.optimizer import build_optimizer
from asr_gate.train.loop.step import MOMENTS, ActivePhase, backward, moments_advice
from asr_gate.train.model.memory import memory_explained
from asr_gate.train.model.parameter_groups import MatchedGroup, freeze_all_but
from asr_gate.train.recipes import Recipe

DEVICES = ("cuda",)
"""Where it is worth its time: elsewhere memory is seldom what ends a run."""


def try_largest_batches(
    family: Family,
    trainee: nn.Module,
    objective: Objective,
    groups: Mapping[str, Sequence[MatchedGroup]],
    encoder: Encoder,
    rows: Sequence[Row],
    steps: Sequence[Sequence[Sequence[Sequence[int]]]],
    recipe: Recipe,
    device: torch.device,
    *,
    shards: int = 1,
) -> None:
    """Compute the gradients of the largest batches in each phase, and forget them.

    Weights, moments and random numbers are as before. The batches are silence of the rows' lengths,
    so no audio is read. Room for the moments is held meanwhile, since AdamW allocates them in its
    first step.

    Args:
        family: of the model.
        trainee: the model that trains.
        objective: its loss.
        groups: what each phase trains.
        encoder: turns rows into tensors.
        rows: those that train.
        steps: their batches, by epoch and step.
        recipe: of the run.
        device: where the model is.
        shards: processes that share the moments.

    Raises:
        UserError: a batch does not fit into memory.
    """
    was_training = trainee.training
    trainee.train()
    largest = [
        _silent(encoder, [rows[index] for index in indices], recipe)
        for indices in _largest(rows, steps)
    ]
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        for phase in recipe.phases:
            mine = groups[phase.name]
            freeze_all_but(trainee, mine)
            family.set_gradient_checkpointing(trainee, phase.gradient_checkpointing)
            active = ActivePhase(
                phase, mine, objective, build_optimizer(mine, recipe.optimizer), None
            )
            size = MOMENTS * sum(group.size for group in mine) // shards
            with memory_explained(partial(moments_advice, active)):
                held = torch.empty(size, dtype=torch.uint8, device=device)
            for batch in largest:
                backward(active, [batch], 1.0, world=1, device=device, recipe=recipe)
            freeze_all_but(trainee, mine)
            del held
    trainee.train(was_training)
    if device.type == "cuda":
        torch.cuda.empty_cache()


def _largest(
    rows: Sequence[Row], steps: Sequence[Sequence[Sequence[Sequence[int]]]]
) -> list[Sequence[int]]:
    """The batch with most padded tokens and the one with most padded seconds; often the same."""
    planned = list(chain.from_iterable(chain.from_iterable(steps)))
    by_tokens = max(planned, key=lambda batch: len(batch) * max(rows[i].tokens for i in batch))
    by_seconds = max(planned, key=lambda batch: len(batch) * max(rows[i].seconds for i in batch))
    return [by_tokens] if by_tokens == by_seconds else [by_tokens, by_seconds]


def _silent(encoder: Encoder, rows: Sequence[Row], recipe: Recipe) -> Batch:
    """A batch with the shapes of some rows, at the slowest speed that they may be drawn at."""
    rate = encoder.sample_rate / recipe.data.augment.slowest
    examples = [
        encoder.encode(row, np.zeros(round(row.seconds * rate), np.float32)) for row in rows
    ]
    return encoder.batch(examples)
