"""The training loop: epochs, phases, steps; no printing and no tracking.

Everything that happens is told to an `Observer`.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Protocol

import torch
from torch.utils.data import DataLoader
from transformers import Qwen3ASRForConditionalGeneration

from corpus.errors import UserError
from corpus.utterance import Seconds
from train.checkpoint import prune, write_checkpoint
from train.data import Refused, Selection, batches
from train.evaluate import EvaluationResult, evaluate
from train.examples import Batch, Encoder, Example, Examples, collate
from train.loss import TranscriptLoss, compute_type, supervised_tokens
from train.phases import (
    MatchedGroup,
    build_optimizer,
    freeze_all_but,
    schedule,
    set_learning_rates,
)
from train.recipe import Recipe


class Diverged(UserError):
    """The loss or the gradients are no longer numbers."""


@dataclass(frozen=True, slots=True)
class StepRecord:
    """One step of the optimizer."""

    step: int
    """From 1, over all epochs."""
    epoch: int
    phase: str
    loss: float
    """Nats a supervised token."""
    gradient_norm: float
    """Before clipping."""
    learning_rates: dict[str, float]
    """By group."""
    audio: Seconds
    """Audio in the step's batches, padding not counted."""
    wall: Seconds
    """Time since the step before ended."""


@dataclass(frozen=True, slots=True)
class EpochRecord:
    """One epoch, evaluated and saved."""

    epoch: int
    phase: str
    steps: int
    """Steps so far, over all epochs."""
    loss: float
    """Mean over the epoch's supervised tokens, in nats."""
    evaluation: EvaluationResult | None
    checkpoint: Path
    wall: Seconds


class Observer(Protocol):
    """Hears what the loop does."""

    def phase_begins(self, epoch: int, phase: str, groups: Sequence[MatchedGroup]) -> None:
        """The parameters of `groups` train from this epoch on, all others are frozen."""

    def step_done(self, record: StepRecord) -> None:
        """The optimizer has stepped."""

    def rows_refused(self, refused: Sequence[Refused]) -> None:
        """Rows turned out unfit when their audio was opened."""

    def evaluation_begins(self, epoch: int) -> None:
        """All steps of the epoch are done."""

    def epoch_done(self, record: EpochRecord) -> None:
        """The epoch is evaluated and its checkpoint written."""


def plan_batches(selection: Selection, recipe: Recipe) -> list[list[list[int]]]:
    """The batches of every epoch, as indices into the training rows."""
    return [
        batches(selection.training, recipe.data.batch_seconds, seed=recipe.seed, epoch=epoch)
        for epoch in range(1, recipe.epochs + 1)
    ]


def count_steps(planned: Sequence[Sequence[object]], accumulate: int) -> int:
    """Steps of the optimizer over all epochs."""
    return sum(-(-len(epoch) // accumulate) for epoch in planned)


def train(
    model: Qwen3ASRForConditionalGeneration,
    encoder: Encoder,
    selection: Selection,
    recipe: Recipe,
    matched: Mapping[str, Sequence[MatchedGroup]],
    *,
    device: torch.device,
    out: Path,
    observer: Observer,
) -> list[EpochRecord]:
    """Train through all phases; writes `out/epoch-N` each epoch and `out/final` at the end.

    Args:
        model: on `device`, float32.
        matched: the parameter groups of each phase, of this very model.

    Raises:
        Diverged: a loss or gradient is not finite; the utterances of the batch are named.
        UserError: a checkpoint cannot be written.
    """
    torch.manual_seed(recipe.seed)
    planned = plan_batches(selection, recipe)
    total_steps = count_steps(planned, recipe.optimizer.accumulate)
    order = _EpochOrder(planned)
    loader = _loader(order, encoder, selection, recipe)
    objective = TranscriptLoss(model)
    records: list[EpochRecord] = []
    phase = None
    optimizer: torch.optim.AdamW | None = None
    groups: Sequence[MatchedGroup] = ()
    step = 0
    for epoch in range(1, recipe.epochs + 1):
        if recipe.phase_of(epoch) is not phase:
            phase = recipe.phase_of(epoch)
            groups = matched[phase.name]
            freeze_all_but(model, groups)
            optimizer = build_optimizer(groups, recipe.optimizer, previous=optimizer)
            observer.phase_begins(epoch, phase.name, groups)
        assert optimizer is not None and phase is not None
        trained = [one for group in groups for one in group.parameters.values()]
        epoch_begin = last = time.perf_counter()
        epoch_loss, epoch_tokens = 0.0, 0
        order.epoch = epoch
        model.train()
        for parts in _chunks(iter(loader), recipe.optimizer.accumulate):
            for part in parts:
                if part.refused:
                    observer.rows_refused(part.refused)
            rates = set_learning_rates(optimizer, schedule(step, total_steps, recipe.optimizer))
            step += 1
            parts = [part for part in parts if part.rows]
            if not parts:
                continue
            loss, tokens = _backward(objective, parts, device, where=f"epoch {epoch}, step {step}")
            norm = float(torch.nn.utils.clip_grad_norm_(trained, recipe.optimizer.clip_norm))
            if not math.isfinite(norm):
                raise _diverged("a gradient", parts, f"epoch {epoch}, step {step}")
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            epoch_loss += loss * tokens
            epoch_tokens += tokens
            now = time.perf_counter()
            audio = sum(row.seconds for part in parts for row in part.rows)
            observer.step_done(
                StepRecord(step, epoch, phase.name, loss, norm, rates, audio, now - last)
            )
            last = now
        if epoch_tokens == 0:
            raise UserError("not one training row could be read; see the refused rows in run.json")
        observer.evaluation_begins(epoch)
        evaluation = evaluate(
            model,
            encoder,
            selection.evaluation,
            batch_seconds=recipe.data.batch_seconds,
            max_new_tokens=recipe.evaluation.max_new_tokens,
            device=device,
        )
        if evaluation is not None and evaluation.refused:
            observer.rows_refused(evaluation.refused)
        checkpoint = out / f"epoch-{epoch}"
        write_checkpoint(checkpoint, model, encoder.processor)
        prune(out, recipe.checkpoints.keep)
        record = EpochRecord(
            epoch,
            phase.name,
            step,
            epoch_loss / epoch_tokens,
            evaluation,
            checkpoint,
            time.perf_counter() - epoch_begin,
        )
        records.append(record)
        observer.epoch_done(record)
    write_checkpoint(out / "final", model, encoder.processor)
    return records


class _EpochOrder:
    """The batch sampler: one loader, and so one set of workers, serves all epochs."""

    def __init__(self, planned: Sequence[list[list[int]]]) -> None:
        self.planned = planned
        self.epoch = 1

    def __iter__(self) -> Iterator[list[int]]:
        return iter(self.planned[self.epoch - 1])

    def __len__(self) -> int:
        return len(self.planned[self.epoch - 1])


def _loader(
    order: _EpochOrder,
    encoder: Encoder,
    selection: Selection,
    recipe: Recipe,
) -> DataLoader[Example | Refused]:
    workers = recipe.data.workers
    if workers:
        # The tokenizer's own threads do not survive the fork and would warn for each worker.
        os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    return DataLoader(
        Examples(selection.training, encoder),
        batch_sampler=order,
        collate_fn=partial(collate, pad_id=encoder.pad_id),
        num_workers=workers,
        persistent_workers=workers > 0,
    )


def _chunks(items: Iterator[Batch], size: int) -> Iterator[list[Batch]]:
    while chunk := list(islice(items, size)):
        yield chunk


def _backward(
    objective: TranscriptLoss, parts: Sequence[Batch], device: torch.device, *, where: str
) -> tuple[float, int]:
    """Gradients of one step, whose loss is the mean over the tokens of all its batches."""
    tokens = sum(supervised_tokens(part.inputs["labels"]) for part in parts)
    total = 0.0
    for part in parts:
        inputs = {name: tensor.to(device) for name, tensor in part.inputs.items()}
        with compute_type(device):
            loss = objective(**inputs) / tokens
        value = float(loss.detach())
        if not math.isfinite(value):
            raise _diverged("the loss", [part], where)
        loss.backward()
        total += value
    return total, tokens


def _diverged(what: str, parts: Sequence[Batch], where: str) -> Diverged:
    ids = [row.utterance.id for part in parts for row in part.rows]
    shown = ", ".join(ids[:8]) + (f" and {len(ids) - 8} more" if len(ids) > 8 else "")
    return Diverged(
        f"{where}: {what} is not a finite number (utterances {shown}); lower the learning rates "
        "or look at these rows"
    )
