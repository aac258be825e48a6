"""Reports what the loop does: to `run.json`, the log, the terminal and the tracker."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import timedelta
from logging import Logger
from pathlib import Path
from time import perf_counter
from typing import Any

from torch import nn

from asr_gate.corpus.utterance import Seconds, Utterance
from asr_gate.tracking import Tracker
from asr_gate.train.evaluation.evaluate import EvaluationResult
from asr_gate.train.loop.clock import Clock
from asr_gate.train.loop.events import Milestone, StepRecord
from asr_gate.train.loop.resume import Position
from asr_gate.train.model.parameter_groups import MatchedGroup
from asr_gate.train.observe.progress import Reporter
from asr_gate.train.observe.rates import (
    epoch_metrics,
    evaluation_metrics,
    rates_by_name,
    time_metrics,
)
from asr_gate.train.observe.step_profile import StepProfile, in_words
from asr_gate.train.observe.target import target_in_words, target_reached
from asr_gate.train.observe.tracked_metrics import TrackedMetrics
from asr_gate.train.plan import Refused
from asr_gate.train.recipes import Recipe
from asr_gate.train.record import (
    Evaluated,
    FinishedEpoch,
    LoggedModel,
    LoggedStep,
    Progress,
    RunRecord,
    Status,
    Tracking,
    write_record,
)


class RunRecorder:
    """The loop's observer. `run.json` is written at each evaluation, each state, and the end."""

    def __init__(
        self,
        out: Path | None,
        record: RunRecord,
        tracker: Tracker,
        reporter: Reporter,
        log: Logger,
        *,
        recipe: Recipe,
        model: nn.Module,
        clock: Clock | None = None,
        profile: StepProfile | None = None,
        earlier: RunRecord | None = None,
        at: Position | None = None,
        utterances: Mapping[str, Utterance] | None = None,
    ) -> None:
        """Start to record.

        Args:
            out: the run's folder; None: another process writes there.
            record: what the run is; nothing has happened yet.
            tracker: its run has begun.
            reporter: shows the progress on the terminal.
            log: gets a line for each event.
            recipe: of the run.
            model: whose gradients or parameters the tracker may watch.
            clock: that the loop counts its time with.
            profile: traces some steps; None: none are.
            earlier: record of an earlier start of this run; None: the run is new.
            at: position that the run is resumed from; None: the beginning.
            utterances: by id those that evaluate, whose audio the tracker may log.
        """
        self.out = out
        self.reporter = reporter
        self.log = log
        self.recipe = recipe
        self.model = model
        self.profile = profile
        self.total_steps = record.plan.steps
        self.last_step = 0 if at is None else at.step
        self.record = _resumed(record, earlier, at, tracker)
        self.clock = clock or Clock()
        self.time_before = self.record.time
        same_run = earlier is not None and tracker.run_id == earlier.tracking.run_id != ""
        self.metrics = TrackedMetrics(
            tracker,
            recipe,
            record.recipe,
            steps=self.total_steps,
            occupied_step=_occupied_step(earlier, at) if same_run else None,
            utterances=utterances,
        )
        if same_run:
            self.metrics.repeat(self.record)
        self._refused = {row.id for row in self.record.refused_while_reading}
        self._before = self.record.progress
        self._began = perf_counter()
        self._audio: Seconds = 0.0
        self._save()

    def _change(self, **changes: Any) -> None:
        self.record = self.record.model_copy(update=changes)

    def _save(self) -> None:
        self._change(time=self.time_before.plus(self.clock.spent()))
        if self.out is not None:
            write_record(self.out, self.record)

    def _advance(self) -> None:
        """Note what the run has spent so far; where it can be resumed, and nowhere else."""
        spent = self._before.seconds + perf_counter() - self._began
        audio = self._before.audio + self._audio
        self._change(progress=Progress(seconds=round(spent, 3), audio=round(audio, 3)))

    def saving(self) -> None:
        """Write what was reported so far."""
        self._advance()
        self._save()

    def phase_begins(self, epoch: int, phase: str, groups: Sequence[MatchedGroup]) -> None:
        """Report which groups train now."""
        trained = ", ".join(f"{group.name} {group.learning_rate:.1e}" for group in groups)
        self.log.info(
            f"epoch {epoch}: phase {phase} trains {trained}; the rest is frozen",
            extra={"event": "phase", "epoch": epoch, "phase": phase, "step": self.last_step},
        )
        self.metrics.watch(self.model)
        switches = self.record.switches
        if phase in switches:
            return  # the run was resumed within this phase
        step = self.last_step + 1
        self._change(switches={**switches, phase: step})
        self.metrics.phase_begins(epoch, phase, groups, step=step, first=not switches)

    def step_done(self, record: StepRecord) -> None:
        """Show the step, and log it every few steps."""
        self.last_step = record.step
        self._audio += record.audio
        self.reporter.step(
            record.step,
            self.total_steps,
            f"epoch {record.epoch}/{self.recipe.epochs} ({record.phase})",
            record.loss,
            record.audio,
        )
        logged = LoggedStep(step=record.step, epoch=record.epoch, loss=record.loss)
        more = {"grad_norm": record.gradient_norm, "seconds": round(record.wall, 4)}
        self.log.debug("step", extra={"event": "step", **logged.model_dump(), **more})
        self._warn_of_a_jump(record)
        if self.profile is not None:
            self.profile.step_done(record)
            self._report_profile()
        if self.metrics.step_done(record):
            self._change(steps=[*self.record.steps, logged])

    def _warn_of_a_jump(self, record: StepRecord) -> None:
        factor, usual = self.recipe.wandb.alerts.loss_spike, record.usual_loss
        if factor is not None and usual is not None and record.loss > factor * usual:
            text = (
                f"step {record.step}: {record.loss:.3g}, {record.loss / usual:.1f} times the usual"
            )
            self.log.warning(f"the loss jumped at {text}", extra={"event": "loss_spike"})
            self.metrics.loss_jumped(text)

    def rows_refused(self, refused: Sequence[Refused]) -> None:
        """List each row once, even if several epochs meet it."""
        for row in refused:
            if row.id not in self._refused:
                self._refused.add(row.id)
                self._change(refused_while_reading=[*self.record.refused_while_reading, row])
                self.log.info(
                    f"left out: {row.id}: {row.reason} ({row.rule})",
                    extra={"event": "refused", **asdict(row)},
                )

    def evaluated(self, record: Milestone) -> None:
        """Report an evaluation within an epoch."""
        self._report_evaluation(record, f"step {record.steps}/{self.total_steps}", {})

    def epoch_done(self, record: Milestone) -> None:
        """Report an epoch and the evaluation at its end."""
        epoch = FinishedEpoch(
            **_evaluated(record).model_dump(),
            phase=record.phase,
            loss=record.loss,
            seconds=round(record.wall, 3),
        )
        self._change(epochs=[*self.record.epochs, epoch])
        where = f"epoch {record.epoch}/{self.recipe.epochs}"
        self._report_evaluation(record, where, epoch_metrics(record))
        self.metrics.draw_curves(self.record, record)

    def tested(self, result: EvaluationResult) -> None:
        """Report the rates of the final model on the test split."""
        rates = result.rates()
        self._change(test=rates)
        self._save()
        metrics = rates_by_name("test", result)
        self.log.info(
            f"test: {_rates_in_words(result)}, {rates.utterances} utterances",
            extra={"event": "test", **metrics},
        )
        self.metrics.tested(metrics, self.last_step)

    def _report_evaluation(self, record: Milestone, where: str, metrics: dict[str, float]) -> None:
        before = self.record.best_wer()
        self._change(evaluations=[*self.record.evaluations, _evaluated(record)])
        self._advance()
        reached = target_reached(self.record, self.recipe.evaluation.target_wer)
        first = reached is not None and self.record.target is None
        self._change(target=reached)
        self._save()
        metrics = {**metrics, **evaluation_metrics(record), **time_metrics(self.record.time)}
        extra = {"event": "evaluation", "step": record.steps, "phase": record.phase, **metrics}
        line = f"{where} ({record.phase}): loss {record.loss:.3f}{_in_words(record)}"
        self.log.info(f"{line} ({record.wall:.1f} s)", extra=extra)
        self.metrics.evaluated(record, metrics)
        if reached is not None and first:
            self.metrics.target_reached(reached)
        if record.evaluation is None:
            return
        wer = record.evaluation.scores.wer
        self.metrics.best_so_far(record, wer, before)
        # Of equally good ones the later is the best, as for the link `best`.
        best = before is None or wer <= before
        self._add_models(self.metrics.log_checkpoint(self.record, record.checkpoint, best=best))

    def _add_models(self, logged: dict[str, LoggedModel]) -> None:
        if logged:
            tracking = self.record.tracking
            models = {**tracking.models, **logged}
            self._change(tracking=tracking.model_copy(update={"models": models}))

    def end(self, status: Status, reason: str | None = None, *, unfit: bool = False) -> None:
        """The run is over; `unfit`: its recipe is to blame."""
        self._change(status=status, reason=reason, unfit=unfit)
        # At once: a model may be large, and logging it slow.
        self._save()
        time = self.record.time
        self.log.info(
            f"time: {_clock_time(time.total)}, {time.in_words()}",
            extra={"event": "time", **time_metrics(time)},
        )
        if self.profile is not None:
            self.profile.close()
            self._report_profile()
        if status == "finished":
            if self.out is not None:
                self._add_models(self.metrics.log_models_at_the_end(self.record, self.out))
            best = self.record.best_wer()
            self.log.debug("finished", extra={"event": "end", "status": status, "best_wer": best})
            if self.recipe.evaluation.target_wer is not None:
                self.log.info(target_in_words(self.record), extra={"event": "target"})
            if self.record.target is not None:
                self.metrics.target_reached(self.record.target)
            self.metrics.finished(self.last_step, best, time)
        else:
            extra = {"event": "end", "status": status, "reason": reason}
            self.log.debug("ended early", extra=extra)
        self._save()

    def diverged(self, reason: str) -> None:
        """The loss or a gradient is not finite, or the loss jumped."""
        self.end("failed", reason, unfit=True)
        self.metrics.diverged(reason)

    def _report_profile(self) -> None:
        """Report the profile once, when the steps are traced or the run is over."""
        if self.profile is not None and self.profile.summary is not None:
            self.log.info(f"profile: {in_words(self.profile.summary)}: {self.profile.folder}")
            self.profile = None
        elif self.profile is not None and self.record.status != "running":
            self.log.info("profile: the run took too few steps for a trace")
            self.profile = None


def _resumed(
    record: RunRecord, earlier: RunRecord | None, at: Position | None, tracker: Tracker
) -> RunRecord:
    """The record to begin with: what an earlier start of the run did is kept up to `at`."""
    tracking = Tracking(run_id=tracker.run_id, mode=tracker.mode)
    if earlier is None:
        return record.model_copy(update={"tracking": tracking})
    kept = earlier.before(
        0 if at is None else at.step, evaluation_due=at is not None and bool(at.checkpoint_due)
    )
    if tracker.run_id:
        tracking = tracking.model_copy(update={"models": earlier.tracking.models})
    else:
        tracking = earlier.tracking  # not tracked this time; the earlier tracked run still exists
    return kept.model_copy(
        update={"config": record.config, "plan": record.plan, "tracking": tracking}
        | {"phase0": record.phase0, "recipe": record.recipe}
    )


def _occupied_step(earlier: RunRecord | None, at: Position | None) -> int | None:
    """The step whose row in W&B is complete although its evaluation is still due; None: none."""
    if earlier is None or at is None or not at.checkpoint_due:
        return None
    return None if at.step in [one.steps for one in earlier.evaluations] else at.step


def _evaluated(record: Milestone) -> Evaluated:
    return Evaluated(
        steps=record.steps,
        epoch=record.epoch,
        checkpoint=record.checkpoint.name,
        evaluation=None if record.evaluation is None else record.evaluation.rates(),
    )


def _in_words(record: Milestone) -> str:
    if record.evaluation is None:
        return ", nothing evaluated (no held-out row could be read)"
    return f", held out: {_rates_in_words(record.evaluation)}"


def _clock_time(seconds: float) -> str:
    """`3:05:20` of hours, minutes and seconds."""
    return str(timedelta(seconds=round(seconds)))


def _rates_in_words(result: EvaluationResult) -> str:
    scores = result.scores
    cut = result.unfinished()
    unfinished = f", {cut} of {scores.utterances} transcripts cut off" if cut else ""
    return (
        f"loss {result.loss:.3f}, WER {100 * scores.wer:.1f} %, CER {100 * scores.cer:.1f} %"
        f"{unfinished}"
    )
