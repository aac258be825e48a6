"""The training loop: epochs, phases, steps. It neither prints nor tracks: see `Observer`.

Several processes make each step together: its batches are divided between them, and its loss is the
mean over the tokens of all of them. So two processes do what one does with twice `accumulate`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path

import torch
from torch import nn

from asr_gate.corpus.audited import AlteredAudio
from asr_gate.corpus.errors import UserError
from asr_gate.corpus.utterance import Seconds
from asr_gate.train.data.examples import Batch, Encoder
from asr_gate.train.data.rows import Row, Selection
from asr_gate.train.distributed import Ranks
from asr_gate.train.evaluation.evaluate import EvaluationResult, EvaluationStopped, evaluate
from asr_gate.train.evaluation.reading import most_tokens
from asr_gate.train.loop import resume
from asr_gate.train.loop.batch_plan import BatchOrder, build_loader, count_steps, plan_steps
from asr_gate.train.loop.cadence import StateCadence, plan_evaluations
from asr_gate.train.loop.clock import Clock
from asr_gate.train.loop.events import Diverged, Milestone, Observer, StepRecord, Stopped
from asr_gate.train.loop.optimizer import beginning, schedule, set_learning_rates
from asr_gate.train.loop.sharding import whole
from asr_gate.train.loop.state import StateWriter
from asr_gate.train.loop.step import (
    RECENT_STEPS,
    ActivePhase,
    backward,
    count,
    divergence,
    moments_advice,
    named_rows,
    usual_loss,
)
from asr_gate.train.loop.trainee import Trainee
from asr_gate.train.loop.trial import DEVICES
from asr_gate.train.model.checkpoint import checkpoint_type, mark_best, prune, write_checkpoint
from asr_gate.train.model.memory import memory_explained
from asr_gate.train.plan import ALTERED, Refused
from asr_gate.train.recipes import Recipe
from asr_gate.train.signals import signals_held


def fit(
    model: nn.Module,
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
    clock: Clock | None = None,
) -> list[Milestone]:
    """Train through all phases; writes `out/epoch-N` after each epoch and `out/final` at the end.

    Args:
        model: float32, on `device`.
        encoder: turns rows into tensors.
        selection: which rows train and which evaluate.
        recipe: of the run.
        device: where this process computes.
        out: the run's folder.
        observer: is told of everything that happens.
        ranks: this process among all that train together.
        state: state on disk to resume from; see `resume`.
        stop: asked after each step and during evaluations.
        clock: counts what the time is spent on.

    Returns:
        The epochs that this call finished.

    Raises:
        Diverged: a loss or gradient is not finite, or the loss jumped; the utterances are named.
        Stopped: `stop` returned True; the state is on disk.
        UserError: a checkpoint cannot be written, or a batch does not fit into memory.
    """
    clock = clock or Clock()
    training = _Training(
        model, encoder, selection, recipe, device, out, observer, ranks, stop, clock
    )
    training.restore(state)
    training.prepare()
    with training.writer:
        for epoch in range(training.position.epoch, recipe.epochs + 1):
            training.begin_epoch(epoch)
            # Due at the beginning if the run was stopped before or during an evaluation.
            training.save_and_evaluate_if_due()
            for batches in training.batches_of_each_step():
                training.make_step(batches)
                training.stop_if_asked()
                training.save_and_evaluate_if_due()
        training.test()
        training.write_final_model()
    return training.milestones


@dataclass(frozen=True)
class _StepBatches:
    """What a process has to do in one step."""

    batches: list[Batch]
    most: int
    """The largest number of batches that a process has in this step."""
    began: float
    """When the batches were asked for, by `time.perf_counter`."""


class _Training:
    """The state of a run; each process has its own, and they differ only in their batches."""

    def __init__(
        self,
        model: nn.Module,
        encoder: Encoder,
        selection: Selection,
        recipe: Recipe,
        device: torch.device,
        out: Path,
        observer: Observer,
        ranks: Ranks,
        stop: Callable[[], bool],
        clock: Clock,
    ) -> None:
        self.trainee = Trainee(model, selection.training, recipe, device, ranks)
        self.encoder = encoder
        self.selection = selection
        self.recipe = recipe
        self.device = device
        self.out = out
        self.observer = observer
        self.ranks = ranks
        self.stop = stop
        self.clock = clock
        self.steps = plan_steps(selection, recipe, ranks.world)
        self.total_steps = count_steps(self.steps)
        self.evaluations = plan_evaluations(self.steps, selection.training, recipe.evaluation)
        self.states = StateCadence(recipe.checkpoints, ranks)
        self.order = BatchOrder()
        self.loader = build_loader(self.order, encoder, selection, recipe)
        self.position = resume.Position()
        self.writer = StateWriter(out, ranks)
        self.state: Path | None = None
        """State on disk whose moments the first phase restores."""
        self.silence = encoder.silence()
        self.active: ActivePhase | None = None
        self.epoch_began: Seconds = 0.0
        self.milestones: list[Milestone] = []

    # Beginning

    def restore(self, state: Path | None) -> None:
        """Take position and parameters from a state on disk; None: the run is new."""
        if state is None:
            return
        self.position = resume.read_position(state)
        self.writer.on_disk(self.position)
        self.trainee.restored = resume.restore_parameters(state, self.trainee.whole)
        self.state = state

    def prepare(self) -> None:
        """Make the model ready, and try what it needs most memory for."""
        self.trainee.prepare()
        if self.device.type in DEVICES:
            self.trainee.try_largest_batches(self.encoder, self.steps)

    def begin_epoch(self, epoch: int) -> None:
        """Begin or resume an epoch, and its phase if that is another one."""
        position = self.position
        if epoch > position.epoch:
            position.epoch, position.epoch_step = epoch, 0
            position.loss = position.tokens = 0.0
        phase = self.recipe.phase_of(epoch)
        if self.active is None or phase is not self.active.phase:
            previous = None if self.active is None else self.active.optimizer
            self.active = self.trainee.begin(phase, previous, self.state)
            self.state = None
            self.observer.phase_begins(position.epoch, phase.name, self.active.groups)
        self.epoch_began = time.perf_counter()

    # Steps

    def batches_of_each_step(self) -> Iterator[_StepBatches]:
        """This process' batches for each step that is left in the epoch."""
        position, ranks = self.position, self.ranks
        steps = self.steps[position.epoch - 1][position.epoch_step :]
        mine = [step[ranks.rank :: ranks.world] for step in steps]
        self.order.batches = [
            [(position.epoch, index) for index in batch] for step in mine for batch in step
        ]
        self.trainee.model.train()
        with signals_held():
            items = iter(self.loader) if self.order.batches else iter(())
        for step, own in zip(steps, mine, strict=True):
            began = time.perf_counter()
            with self.clock.counting("waiting"):
                read: list[Batch] = list(islice(items, len(own)))
            yield _StepBatches(read, -(-len(step) // ranks.world), began)

    def make_step(self, given: _StepBatches) -> None:
        """One step of all processes together, and a word to the observer."""
        for batch in given.batches:
            self._report_refused(batch.refused)
        batches = [batch for batch in given.batches if batch.rows]
        with self.clock.counting("training"):
            record = self._step(batches, given.most, given.began)
        if record is not None:
            self.observer.step_done(record)
        self.position.checkpoint_due = self.evaluations.get(self.position.step, "")

    def _report_refused(self, refused: Sequence[Refused]) -> None:
        """List rows that cannot be used; stop at one whose audio is not what was audited.

        Raises:
            AlteredAudio: there is one.
        """
        if refused:
            self.observer.rows_refused(refused)
        for row in refused:
            if row.rule == ALTERED:
                raise AlteredAudio(row.reason)

    def _step(self, batches: list[Batch], most: int, began: float) -> StepRecord | None:
        """Forward, backward, clip, optimizer; None: not one row of the step could be read."""
        position, recipe, ranks, active = self.position, self.recipe, self.ranks, self.active
        assert active is not None
        share = schedule(position.step, self.total_steps, recipe.optimizer)
        first, last = active.phase.epochs[0] - 1, active.phase.epochs[-1]
        since = position.step - count_steps(self.steps[:first])
        begun = beginning(since, count_steps(self.steps[first:last]), recipe.optimizer)
        rates = set_learning_rates(active.optimizer, share, begun)
        position.step += 1
        position.epoch_step += 1
        # So that a resumed run draws the same random numbers.
        torch.manual_seed(hash((recipe.seed, position.step, ranks.rank)))
        weighted, tokens, audio, rows = ranks.total(count(batches), self.device)
        if not weighted:
            return None
        if ranks.world > 1:
            # Each forward of a process needs one in every other process.
            batches = batches + [self.silence] * (most - len(batches))
        share_of_loss = backward(
            active, batches, weighted, world=ranks.world, device=self.device, recipe=recipe
        )
        parameters = active.parameters.values()
        with memory_explained(partial(moments_advice, active)):
            norm = float(whole(nn.utils.clip_grad_norm_(parameters, recipe.optimizer.clip_norm)))
        (loss,) = ranks.total([share_of_loss], self.device)
        usual = usual_loss(position.recent)
        what = divergence(loss, norm, usual, recipe.optimizer.leap)
        if what is not None:
            raise self._diverged(what, batches)
        with memory_explained(partial(moments_advice, active)):
            active.optimizer.step()
        active.optimizer.zero_grad(set_to_none=True)
        position.loss += loss * weighted
        position.tokens += weighted
        position.recent = [*position.recent, loss][-RECENT_STEPS:]
        return StepRecord(
            step=position.step,
            epoch=position.epoch,
            phase=active.phase.name,
            loss=loss,
            usual_loss=usual,
            gradient_norm=norm,
            learning_rates=rates,
            rows=int(rows),
            tokens=int(tokens),
            audio=audio,
            wall=time.perf_counter() - began,
            batch=position.epoch_step * recipe.optimizer.accumulate * ranks.world,
        )

    def _diverged(self, what: str, batches: Sequence[Batch]) -> Diverged:
        """The error for a step that went wrong; the model before that step is written."""
        position = self.position
        named = "; ".join(name for name in self.ranks.gathered(named_rows(batches)) if name)
        self.trainee.gather()
        if self.ranks.main:
            self._write_checkpoint("diverged")
        return Diverged(
            f"epoch {position.epoch}, step {position.step}: {what} ({named}); the model before "
            f"this step is {self.out / 'diverged'}: lower the learning rates, or look at these rows"
        )

    def stop_if_asked(self) -> None:
        """Save and stop, if any process was asked to, or a state could not be written.

        Raises:
            Stopped: the state is on disk, or `writer` says why not.
        """
        if any(self.ranks.gathered(self.stop() or self.writer.failed())):
            self._save()
            raise Stopped(self.position.step)

    # Checkpoints and evaluations

    def save_and_evaluate_if_due(self) -> None:
        """Save the state and evaluate, if it is time; a run killed in it begins here again."""
        position = self.position
        due = position.checkpoint_due
        if due or (position.step and self.states.due(position.step)):
            self._save()
        if not due:
            return
        if not position.tokens:
            raise UserError(
                "not one training row could be read; see refused_while_reading in run.json"
            )
        milestone = self._evaluate(due)
        position.checkpoint_due = ""
        if due.startswith("epoch-"):
            self.milestones.append(milestone)
            self.observer.epoch_done(milestone)
        else:
            self.observer.evaluated(milestone)
            self.trainee.model.train()

    def _evaluate(self, name: str) -> Milestone:
        """Evaluate the model, and write it as a checkpoint."""
        assert self.active is not None
        position = self.position
        self.trainee.gather()
        with self.trainee.as_kept():
            with self.clock.counting("evaluation"):
                evaluation = self._transcribe(self.selection.evaluation)
            if evaluation is not None:
                self._report_refused(evaluation.refused)
                position.scores[name] = evaluation.scores.wer
            if self.trainee.sharded:
                self.trainee.whole.to("cpu")
            with self.clock.counting("checkpoints"):
                if self.ranks.main:
                    self._write_checkpoint(name)
                    keep = self.recipe.checkpoints
                    prune(self.out, keep.keep, position.scores, keep.best)
                    mark_best(self.out, position.scores)
                self.ranks.wait()
        return Milestone(
            position.epoch,
            self.active.phase.name,
            position.step,
            position.loss / max(position.tokens, 1),
            evaluation,
            self.out / name,
            time.perf_counter() - self.epoch_began,
        )

    def _transcribe(self, rows: Sequence[Row]) -> EvaluationResult | None:
        settings = self.recipe.evaluation
        try:
            return evaluate(
                self.trainee.family,
                self.trainee.whole.to(self.device),
                self.encoder,
                rows,
                batch_seconds=settings.batch_seconds,
                most_tokens=partial(most_tokens, settings),
                device=self.device,
                memory_advice=f"lower evaluation.batch_seconds (now {settings.batch_seconds:g}) or "
                f"evaluation.max_new_tokens (now {settings.max_new_tokens})",
                numbers=settings.numbers,
                workers=self.recipe.data.workers,
                ranks=self.ranks,
                stop=self.stop,
            )
        except EvaluationStopped:
            raise Stopped(self.position.step) from None

    def test(self) -> None:
        """Evaluate the final model on the test split, if there is one; while it can be resumed."""
        if not self.selection.test:
            return
        self.trainee.gather()
        with self.trainee.as_kept(), self.clock.counting("evaluation"):
            result = self._transcribe(self.selection.test)
        if result is not None:
            self._report_refused(result.refused)
            self.observer.tested(result)

    def _save(self) -> None:
        """Begin to write the state that the run can be resumed from."""
        assert self.active is not None
        self.observer.saving()
        with self.clock.counting("checkpoints"):
            changed = resume.collect(
                self.trainee.model, self.trainee.trained, self.active.optimizer
            )
            self.writer.save(self.position, changed)
        self.states.saved()

    def write_final_model(self) -> None:
        """Write `out/final`; the state for resuming is not needed any more."""
        self.trainee.gather()
        with self.clock.counting("checkpoints"):
            self.writer.wait()
            if self.ranks.main:
                with self.trainee.as_kept():
                    self._write_checkpoint("final")
                resume.discard(self.out)
            self.ranks.wait()

    def _write_checkpoint(self, name: str) -> None:
        dtype = checkpoint_type(self.recipe.checkpoints.dtype, self.device)
        trainee, processor = self.trainee, self.encoder.processor
        write_checkpoint(self.out / name, trainee.whole, processor, dtype, trainee.family.save)
