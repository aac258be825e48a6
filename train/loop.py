"""The training loop: epochs, phases, steps; no printing and no tracking.

Everything that happens is told to an `Observer`. Several processes take each step together: its
batches are divided between them, its loss is the mean over the tokens of all of them, so that two
processes do what one does with twice the accumulation.
"""

from __future__ import annotations

import math
import os
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Protocol

import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.profiler import record_function
from torch.utils.data import DataLoader
from transformers import Qwen3ASRForConditionalGeneration

from asr_gate.corpus.errors import UserError
from asr_gate.corpus.utterance import Seconds
from asr_gate.train import resume
from asr_gate.train.audio_cache import AudioCache, stands_still
from asr_gate.train.checkpoint import mark_best, prune, write_checkpoint
from asr_gate.train.data import Refused, Row, Selection, batches
from asr_gate.train.distributed import Ranks
from asr_gate.train.evaluate import EvaluationResult, evaluate
from asr_gate.train.examples import Batch, Encoder, Example, Examples, collate
from asr_gate.train.loss import TranscriptLoss, compute_type, supervised_tokens, weighted_tokens
from asr_gate.train.phases import (
    MatchedGroup,
    build_optimizer,
    freeze_all_but,
    match,
    schedule,
    set_gradient_checkpointing,
    set_learning_rates,
)
from asr_gate.train.recipe import Phase, Recipe
from asr_gate.train.sharding import sharded, whole


class Diverged(UserError):
    """The loss or the gradients are no longer numbers, or the loss leapt."""


class Stopped(Exception):
    """The run was asked to stop; where it stands is on disk."""

    def __init__(self, step: int) -> None:
        super().__init__(f"stopped after step {step}")
        self.step = step


@dataclass(frozen=True, slots=True)
class StepRecord:
    """One step of the optimizer."""

    step: int
    """From 1, over all epochs."""
    epoch: int
    phase: str
    loss: float
    """Nats a supervised token, each by its row's weight."""
    gradient_norm: float
    """Before clipping."""
    learning_rates: dict[str, float]
    """By group."""
    rows: int
    """In the step's batches, of all processes."""
    tokens: int
    """Supervised ones."""
    audio: Seconds
    """Audio in the step's batches, padding not counted."""
    wall: Seconds
    """From asking for its batches to the optimizer's step; no evaluation, nothing told."""


@dataclass(frozen=True, slots=True)
class Milestone:
    """An evaluation and the checkpoint that it was made of."""

    epoch: int
    phase: str
    steps: int
    """Steps so far, over all epochs."""
    loss: float
    """Mean over the epoch's supervised tokens so far, each by its row's weight, in nats."""
    evaluation: EvaluationResult | None
    checkpoint: Path
    """`epoch-N` at the end of an epoch, `step-N` within."""
    wall: Seconds
    """Since the epoch began, or went on."""


class Observer(Protocol):
    """Hears what the loop does."""

    def phase_begins(self, epoch: int, phase: str, groups: Sequence[MatchedGroup]) -> None:
        """The parameters of `groups` train from this epoch on, all others are frozen."""

    def step_done(self, record: StepRecord) -> None:
        """The optimizer has stepped."""

    def rows_refused(self, refused: Sequence[Refused]) -> None:
        """Rows turned out unfit when their audio was opened."""

    def saving(self) -> None:
        """Where the run stands is about to be written; what was told before must not be lost."""

    def evaluation_begins(self, epoch: int) -> None:
        """The model is evaluated now."""

    def evaluated(self, record: Milestone) -> None:
        """The model was evaluated within an epoch, and its checkpoint written."""

    def epoch_done(self, record: Milestone) -> None:
        """The epoch is evaluated and its checkpoint written."""


SETTLED = 20
"""Steps before a leap of the loss means anything."""
RECENT = 100
"""Steps that a loss is compared with."""


def plan_batches(selection: Selection, recipe: Recipe) -> list[list[list[int]]]:
    """The batches of every epoch, as indices into the training rows."""
    return [
        batches(selection.training, recipe.data.batch_seconds, seed=recipe.seed, epoch=epoch)
        for epoch in range(1, recipe.epochs + 1)
    ]


def count_steps(planned: Sequence[Sequence[object]], chunk_size: int) -> int:
    """Steps of the optimizer over all epochs.

    Args:
        planned: the batches of every epoch.
        chunk_size: batches a step, over all processes.
    """
    return sum(-(-len(epoch) // chunk_size) for epoch in planned)


def train(
    model: Qwen3ASRForConditionalGeneration,
    encoder: Encoder,
    selection: Selection,
    recipe: Recipe,
    *,
    device: torch.device,
    out: Path,
    observer: Observer,
    ranks: Ranks = Ranks(),  # noqa: B008  (frozen)
    state: Path | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> list[Milestone]:
    """Train through all phases; writes `out/epoch-N` each epoch and `out/final` at the end.

    Args:
        model: on `device`, float32.
        ranks: this process among those that train together.
        state: of `train.resume`, to go on from.
        stop: asked after each step, and during evaluations.

    Returns:
        The epochs that this call finished.

    Raises:
        Diverged: a loss or gradient is not finite, or the loss leapt; the utterances are named.
        Stopped: `stop` said so; where the run stands is on disk.
        UserError: a checkpoint cannot be written, a batch does not fit the memory.
    """
    return _Training(model, encoder, selection, recipe, device, out, observer, ranks, stop).run(
        state
    )


class _Training:
    """One run; every process has its own, and they agree on everything but their batches."""

    def __init__(
        self,
        model: Qwen3ASRForConditionalGeneration,
        encoder: Encoder,
        selection: Selection,
        recipe: Recipe,
        device: torch.device,
        out: Path,
        observer: Observer,
        ranks: Ranks,
        stop: Callable[[], bool],
    ) -> None:
        self.model = model
        self.encoder = encoder
        self.selection = selection
        self.recipe = recipe
        self.matched: Mapping[str, Sequence[MatchedGroup]] = {}
        """The groups of each phase, of `trainee`."""
        self.device = device
        self.out = out
        self.observer = observer
        self.ranks = ranks
        self.stop = stop
        planned = plan_batches(selection, recipe)
        size = recipe.optimizer.accumulate * ranks.world
        self.total_steps = count_steps(planned, size)
        self.chunks = [
            [epoch[start : start + size] for start in range(0, len(epoch), size)]
            for epoch in planned
        ]
        self.order = _Order()
        self.loader = _loader(self.order, encoder, selection, recipe)
        self.position = resume.Position(chunk_size=size)
        self.phase: Phase | None = None
        self.optimizer: torch.optim.AdamW | None = None
        self.trained: dict[str, nn.Parameter] = {}
        """Every parameter that any phase so far trained, by name."""
        self.restored: set[str] = set()
        """Names of those that a state brought."""
        self.sharded = recipe.sharding == "fsdp2" and ranks.world > 1
        self.silence = encoder.silence()
        self.objective: nn.Module = TranscriptLoss(model)
        self.trainee = model
        """What trains: the model itself, or its sharded copy."""
        self.audio_cache: AudioCache | None = None
        self.milestones: list[Milestone] = []

    def run(self, state: Path | None) -> list[Milestone]:
        if state is not None:
            self._go_on(state)
        if self.sharded:
            # Whole, it is needed on the device in evaluations alone.
            self.model.to("cpu")
            objective = sharded(self.model, self.ranks.world, self.device)
            self.objective, self.trainee = objective, objective.model
        self.matched = match(self.trainee, self.recipe.phases)
        first = self.position.epoch
        for epoch in range(first, self.recipe.epochs + 1):
            if epoch > first:
                self.position.epoch, self.position.chunk = epoch, 0
                self.position.loss = self.position.tokens = 0.0
            self._enter(self.recipe.phase_of(epoch), state if epoch == first else None)
            self._epoch()
        self._gather()
        if self.ranks.main:
            write_checkpoint(self.out / "final", self.model, self.encoder.processor)
            resume.discard(self.out)
        self.ranks.wait()
        return self.milestones

    def _go_on(self, state: Path) -> None:
        found = resume.position(state)
        resume.require_chunk_size(state, found, self.position.chunk_size)
        self.position = found
        self.restored = resume.restore_parameters(state, self.model)

    def _enter(self, phase: Phase, state: Path | None) -> None:
        """Begin a phase, or go on in it."""
        if phase is self.phase:
            return
        self.phase = phase
        groups = self.matched[phase.name]
        freeze_all_but(self.trainee, groups)
        set_gradient_checkpointing(self.trainee, phase.gradient_checkpointing)
        self.optimizer = build_optimizer(groups, self.recipe.optimizer, previous=self.optimizer)
        if state is not None:
            resume.restore_moments(state, self.trainee, self.optimizer)
        named = self.trainee.named_parameters()
        self.trained |= {name: p for name, p in named if name in self.restored}
        self.trained |= self._parameters()
        if self.ranks.world > 1 and not self.sharded:
            # It only reduces parameters that took gradients when it was made: a new one a phase.
            self.objective = DistributedDataParallel(
                TranscriptLoss(self.model),
                device_ids=[self.device.index] if self.device.type == "cuda" else None,
                # Gradients lie in what is sent, and not there a second time.
                gradient_as_bucket_view=True,
            )
        self.audio_cache = self._cached_audio(groups)
        self.observer.phase_begins(self.position.epoch, phase.name, groups)

    def _cached_audio(self, groups: Sequence[MatchedGroup]) -> AudioCache | None:
        """The audio tower's outputs on disk, where this phase leaves the tower as it is."""
        settings = self.recipe.data
        bound = int(settings.audio_cache_gib * 2**30)
        if not bound or self.sharded or not stands_still(self.model, groups, settings):
            return None
        return AudioCache(
            self.model,
            self.selection.training,
            bound=bound,
            device=self.device,
            world=self.ranks.world,
        )

    def _parameters(self) -> dict[str, nn.Parameter]:
        """What the present phase trains."""
        assert self.phase is not None
        groups = self.matched[self.phase.name]
        return {name: p for group in groups for name, p in group.parameters.items()}

    def _epoch(self) -> None:
        """The epoch's steps that are left, its evaluations and its checkpoint."""
        position = self.position
        chunks = self.chunks[position.epoch - 1][position.chunk :]
        mine = [chunk[self.ranks.rank :: self.ranks.world] for chunk in chunks]
        self.order.batches = [
            [(position.epoch, index) for index in batch] for part in mine for batch in part
        ]
        begun = time.perf_counter()
        if position.due:
            self._settle(begun)
        self.trainee.train()
        items = iter(self.loader) if self.order.batches else iter(())
        last = time.perf_counter()
        for chunk, part in zip(chunks, mine, strict=True):
            read: list[Batch] = list(islice(items, len(part)))
            record = self._step(read, -(-len(chunk) // self.ranks.world), last)
            if record is not None:
                self.observer.step_done(record)
            position.due = self._due()
            if self._asked_to_stop():
                self._save()
                raise Stopped(position.step)
            self._settle(begun)
            last = time.perf_counter()

    def _due(self) -> str:
        """The checkpoint that is to be written and evaluated after this step, if any."""
        position = self.position
        if position.chunk == len(self.chunks[position.epoch - 1]):
            return f"epoch-{position.epoch}"
        every = self.recipe.evaluation.every_steps
        return f"step-{position.step}" if every and position.step % every == 0 else ""

    def _settle(self, begun: float) -> None:
        """Save and evaluate where that is due; whoever is killed in it begins with it again."""
        position = self.position
        due = position.due
        if due or (
            position.step and position.step % self.recipe.checkpoints.state_every_steps == 0
        ):
            self._save()
        if not due:
            return
        if not position.tokens:
            raise UserError("not one training row could be read; see the refused rows in run.json")
        milestone = self._evaluate(due, begun)
        position.due = ""
        if due.startswith("epoch-"):
            self.milestones.append(milestone)
            self.observer.epoch_done(milestone)
        else:
            self.observer.evaluated(milestone)
            self.trainee.train()

    def _save(self) -> None:
        self.observer.saving()
        assert self.optimizer is not None
        changed = resume.collect(self.trained, self.optimizer)
        if self.ranks.main:
            resume.save(self.out, self.position, changed)
        elif self.sharded:
            deque(changed, maxlen=0)
        self.ranks.wait()

    def _gather(self) -> None:
        """Bring the whole model up to date with what its sharded copy has learnt."""
        if self.sharded:
            own = dict(self.model.named_parameters())
            for name, parameter in self.trained.items():
                own[name].data.copy_(whole(parameter.detach()))

    def _asked_to_stop(self) -> bool:
        return any(self.ranks.gathered(self.stop()))

    def _step(self, parts: list[Batch], most: int, last: float) -> StepRecord | None:
        """One step of all processes together; None: not one of its rows could be read.

        Args:
            parts: this process' batches.
            most: as many as a process has in this step.
            last: when it began.
        """
        position, recipe = self.position, self.recipe
        assert self.optimizer is not None and self.phase is not None
        for part in parts:
            if part.refused:
                self.observer.rows_refused(part.refused)
        parts = [part for part in parts if part.rows]
        share = schedule(position.step, self.total_steps, recipe.optimizer)
        rates = set_learning_rates(self.optimizer, share)
        position.step += 1
        position.chunk += 1
        # So that whoever goes on from here draws the same random numbers.
        torch.manual_seed(hash((recipe.seed, position.step, self.ranks.rank)))
        counted = [
            sum(weighted_tokens(part.inputs["labels"], _weights(part)) for part in parts),
            sum(supervised_tokens(part.inputs["labels"]) for part in parts),
            sum(row.seconds for part in parts for row in part.rows),
            sum(len(part.rows) for part in parts),
        ]
        weighted, tokens, audio, rows = self.ranks.total(counted, self.device)
        if not weighted:
            return None
        where = f"epoch {position.epoch}, step {position.step}"
        if self.ranks.world > 1:
            # Each process' forwards meet those of the others, so that all need as many.
            parts += [self.silence] * (most - len(parts))
        loss = self._backward(parts, weighted)
        trained = self._parameters().values()
        norm = float(whole(nn.utils.clip_grad_norm_(trained, recipe.optimizer.clip_norm)))
        (mean,) = self.ranks.total([loss], self.device)
        self._refuse(mean, norm, parts, where)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        position.loss += mean * weighted
        position.tokens += weighted
        position.recent = [*position.recent, mean][-RECENT:]
        wall = time.perf_counter() - last
        name = self.phase.name
        return StepRecord(
            step=position.step,
            epoch=position.epoch,
            phase=name,
            loss=mean,
            gradient_norm=norm,
            learning_rates=rates,
            rows=int(rows),
            tokens=int(tokens),
            audio=audio,
            wall=wall,
        )

    def _backward(self, parts: Sequence[Batch], tokens: float) -> float:
        """Gradients of this process' share of a step; its share of the step's mean loss.

        Args:
            parts: its batches.
            tokens: supervised ones of all processes' batches, each by its row's weight.
        """
        total = 0.0
        ddp = isinstance(self.objective, DistributedDataParallel)
        for number, part in enumerate(parts, start=1):
            wait = ddp and number < len(parts)
            with self.objective.no_sync() if wait else nullcontext():  # type: ignore[operator]
                try:
                    # The names are for `train.profile`.
                    with record_function("asr.forward"), compute_type(self.device):
                        loss = self.objective(**self._moved(part)) / tokens
                    # DDP takes the mean over the processes, where the sum is wanted.
                    with record_function("asr.backward"):
                        (loss * self.ranks.world if ddp else loss).backward()
                except torch.OutOfMemoryError as error:
                    raise UserError(
                        f"out of memory on a batch of {_named([part])}: {self._smaller()}"
                    ) from error
                total += float(loss.detach())
        return total

    def _smaller(self) -> str:
        """What to change where a batch does not fit."""
        assert self.phase is not None
        key = f"phases.{self.recipe.phases.index(self.phase)}.gradient_checkpointing=true"
        first = "" if self.phase.gradient_checkpointing else f"set {key}, or "
        return (
            f"{first}lower data.batch_seconds (now {self.recipe.data.batch_seconds:g}) and raise "
            "optimizer.accumulate"
        )

    def _moved(self, part: Batch) -> dict[str, torch.Tensor]:
        weights = _weights(part).to(self.device)
        if self.audio_cache is not None and part.rows:
            return {**self.audio_cache.hear(part), "weights": weights}
        moved = {name: tensor.to(self.device) for name, tensor in part.inputs.items()}
        return {**moved, "weights": weights}

    def _refuse(self, loss: float, norm: float, parts: Sequence[Batch], where: str) -> None:
        """Stop, with a checkpoint of the model before this step, where it went wrong."""
        usual = self.position.recent
        leap = self.recipe.optimizer.leap
        what = ""
        if not math.isfinite(loss):
            what = "the loss is not a finite number"
        elif not math.isfinite(norm):
            what = "a gradient is not a finite number"
        elif leap and len(usual) >= SETTLED and loss > leap * median(usual):
            what = (
                f"the loss leapt to {loss:.3g}, {loss / median(usual):.1f} times the usual "
                f"(optimizer.leap is {leap:g})"
            )
        if not what:
            return
        named = "; ".join(name for name in self.ranks.gathered(_named(parts)) if name)
        self._gather()
        if self.ranks.main:
            write_checkpoint(self.out / "diverged", self.model, self.encoder.processor)
        raise Diverged(
            f"{where}: {what} ({named}); the model before this step is {self.out / 'diverged'}: "
            "lower the learning rates or look at these rows"
        )

    def _evaluate(self, name: str, begun: float) -> Milestone:
        """Evaluate, and write the checkpoint that was evaluated."""
        assert self.phase is not None
        self.observer.evaluation_begins(self.position.epoch)
        self._gather()
        evaluation = evaluate(
            self.model.to(self.device),
            self.encoder,
            self.selection.evaluation,
            batch_seconds=self.recipe.data.batch_seconds,
            max_new_tokens=self.recipe.evaluation.max_new_tokens,
            device=self.device,
            ranks=self.ranks,
            advance=self._stop_evaluating,
        )
        if evaluation is not None and evaluation.refused:
            self.observer.rows_refused(evaluation.refused)
        if evaluation is not None:
            self.position.scores[name] = evaluation.scores.wer
        if self.sharded:
            self.model.to("cpu")
        checkpoint = self.out / name
        if self.ranks.main:
            write_checkpoint(checkpoint, self.model, self.encoder.processor)
            keep = self.recipe.checkpoints
            prune(self.out, keep.keep, self.position.scores, keep.best)
            mark_best(self.out, self.position.scores)
        self.ranks.wait()
        position = self.position
        return Milestone(
            position.epoch,
            self.phase.name,
            position.step,
            position.loss / max(position.tokens, 1),
            evaluation,
            checkpoint,
            time.perf_counter() - begun,
        )

    def _stop_evaluating(self, rows: Sequence[Row]) -> None:
        """Processes evaluate rows of their own and would wait for one that stopped by itself."""
        if self.ranks.world == 1 and self.stop():
            raise Stopped(self.position.step)


class _Order:
    """The batch sampler: one loader, and so one set of workers, serves all epochs."""

    def __init__(self) -> None:
        self.batches: list[list[tuple[int, int]]] = []
        """Of epoch and index."""

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        return iter(self.batches)

    def __len__(self) -> int:
        return len(self.batches)


def _loader(
    order: _Order,
    encoder: Encoder,
    selection: Selection,
    recipe: Recipe,
) -> DataLoader[Example | Refused]:
    workers = recipe.data.workers
    if workers:
        # The tokenizer's own threads do not survive the fork and would warn for each worker.
        os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    return DataLoader(
        Examples(selection.training, encoder, recipe.seed),
        batch_sampler=order,
        collate_fn=partial(collate, pad_id=encoder.pad_id),
        num_workers=workers,
        persistent_workers=workers > 0,
    )


def _weights(part: Batch) -> torch.Tensor:
    """What the tokens of each row count, shape (rows,), float32."""
    return torch.tensor([row.weight for row in part.rows])


def _named(parts: Sequence[Batch]) -> str:
    rows: list[Row] = [row for part in parts for row in part.rows]
    if not rows:
        return ""
    ids = [row.utterance.id for row in rows]
    shown = ", ".join(ids[:8]) + (f" and {len(ids) - 8} more" if len(ids) > 8 else "")
    return f"utterances {shown}"
