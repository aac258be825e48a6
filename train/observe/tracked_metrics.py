"""What a run sends to the tracker: metrics, predictions, charts, alerts and models."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import nn

from asr_gate.corpus.utterance import Utterance
from asr_gate.tracking import Tracker
from asr_gate.train.evaluation.scoring import error_types, perplexity
from asr_gate.train.evaluation.track_result import log_error_types
from asr_gate.train.loop.events import Milestone, StepRecord
from asr_gate.train.model.parameter_groups import MatchedGroup
from asr_gate.train.observe.rates import predictions, time_metrics
from asr_gate.train.plan import TimeSpent
from asr_gate.train.recipes import Recipe
from asr_gate.train.record import Evaluated, LoggedModel, RunRecord, TargetReached


class TrackedMetrics:
    """Sends what the loop reports to a tracker, under the names of docs/tracking.md."""

    def __init__(
        self,
        tracker: Tracker,
        recipe: Recipe,
        name: str,
        *,
        steps: int,
        occupied_step: int | None = None,
        utterances: Mapping[str, Utterance] | None = None,
    ) -> None:
        """Define the charts.

        Args:
            tracker: its run has begun.
            recipe: of the run.
            name: of the recipe, for alerts and models.
            steps: of the whole run.
            occupied_step: a step that W&B takes no more rows for, because an earlier start of the
                run was stopped in the evaluation after it; that evaluation is logged one step
                later.
            utterances: by id those that evaluate, for `wandb.log_audio`.
        """
        self.tracker = tracker
        self.utterances = utterances or {}
        self.recipe = recipe
        self.name = name
        self.total_steps = steps
        self.occupied_step = occupied_step
        self._window: list[StepRecord] = []
        tracker.define("train/step")
        for pattern in ("train/*", "eval/*", "training/*", "system/*", "time/*"):
            tracker.define(pattern, axis="train/step")
        tracker.define("epoch")
        tracker.define("epoch/*", axis="epoch")
        tracker.define("train/loss", axis="train/step", best="min")
        self._define_rates("eval")
        tracker.define("eval/loss", axis="train/step", best="min")

    def _define_rates(self, prefix: str) -> None:
        for rate in ("wer", "cer"):
            self.tracker.define(f"{prefix}/{rate}", axis="train/step", best="min")

    def repeat(self, record: RunRecord) -> None:
        """Send again what an earlier start of the run may not have sent to its end."""
        self.tracker.make_up(_rows(record))

    # Phases and steps

    def watch(self, model: nn.Module) -> None:
        """Watch the gradients or parameters of a phase, if the recipe asks for it."""
        self.tracker.watch_model(model)

    def phase_begins(
        self, epoch: int, phase: str, groups: Sequence[MatchedGroup], *, step: int, first: bool
    ) -> None:
        """A phase begins.

        Args:
            epoch: its first epoch.
            phase: its name.
            groups: what it trains.
            step: its first step.
            first: whether it is the first phase of the run.
        """
        names = (name for group in groups for name in group.parameters)
        layers = {found[1] for n in names if (found := re.search(r"audio_tower\.layers\.(\d+)", n))}
        self.tracker.log_metrics(
            {
                "training/strategy": phase,
                "training/strategy_switch": int(not first),
                "training/strategy_number": self._phase_number(phase),
                "training/audio_layers_unfrozen": len(layers),
                "train/step": step,
                "train/epoch": epoch,
            },
            step=step,
        )

    def step_done(self, record: StepRecord) -> bool:
        """Log the means since the last logged step, if it is time; returns whether it was."""
        self._window.append(record)
        last = record.step == self.total_steps
        settings = self.recipe.wandb
        due = record.step % settings.log_interval == 0 or last
        if record.step % settings.detailed_interval == 0 or last:
            if not due:  # the axis of the system's metrics
                self.tracker.log_metrics({"train/step": record.step}, step=record.step)
            self.tracker.log_system_metrics(step=record.step)
        if not due:
            return False
        window, self._window = self._window, []
        wall = max(sum(one.wall for one in window), 1e-9)
        self.tracker.log_training_metrics(
            loss=record.loss,
            learning_rate=record.learning_rates,
            epoch=record.epoch,
            step=record.step,
            grad_norm=record.gradient_norm,
            perplexity=perplexity(record.loss),
            batch=record.batch,
            batch_time=wall / len(window),
            samples_per_sec=sum(one.rows for one in window) / wall,
            audio_seconds_per_sec=sum(one.audio for one in window) / wall,
            tokens_per_sec=sum(one.tokens for one in window) / wall,
        )
        number = {"training/strategy_number": self._phase_number(record.phase)}
        self.tracker.log_metrics(number, step=record.step)
        return True

    def loss_jumped(self, text: str) -> None:
        """Alert a person that the loss is far above the usual."""
        self._alert("loss spike", text, "WARN")

    def _phase_number(self, phase: str) -> int:
        return [one.name for one in self.recipe.phases].index(phase) + 1

    # Evaluations

    def evaluated(self, milestone: Milestone, metrics: dict[str, float]) -> None:
        """Log the rates of an evaluation, and its first transcripts."""
        result = milestone.evaluation
        step = self._step_of(milestone)
        if result is not None:
            for domain in result.domains:
                self._define_rates(f"eval/{domain}")
        if metrics:
            at = {"train/step": milestone.steps, "train/epoch": milestone.epoch}
            self.tracker.log_metrics({**metrics, **at}, step=step)
        if result is not None:
            utterances = self.utterances if self.recipe.wandb.log_audio else None
            rows = predictions(milestone.epoch, result, utterances)
            self.tracker.log_predictions(rows, step=step)

    def best_so_far(self, milestone: Milestone, wer: float, before: float | None) -> None:
        """Alert a person of a lower WER than any before, if the recipe asks for it."""
        least = self.recipe.wandb.alerts.best_wer
        if least is not None and before is not None and before - wer > least:
            text = f"{100 * wer:.2f} % after step {milestone.steps}, from {100 * before:.2f} %"
            self._alert("best WER so far", text)

    def target_reached(self, reached: TargetReached) -> None:
        """Log how long the run took to come down to `evaluation.target_wer`."""
        summary = reached.model_dump(exclude={"target_wer", "wer"})
        summary = {f"eval/target_reached_{key}": value for key, value in summary.items()}
        self.tracker.log_summary({"eval/target_wer": reached.target_wer, **summary})

    def draw_curves(self, record: RunRecord, milestone: Milestone) -> None:
        """Draw losses and error rates so far, with the beginning of each phase marked."""
        rated = [(one.steps, one.evaluation) for one in record.evaluations if one.evaluation]
        at = [step for step, _ in rated]
        losses = {
            "train": ([one.step for one in record.steps], [one.loss for one in record.steps]),
            "held out": (at, [rates.loss for _, rates in rated]),
        }
        rates = {
            "wer": (at, [rates.wer for _, rates in rated]),
            "cer": (at, [rates.cer for _, rates in rated]),
        }
        marks = {f"phase {name}": first for name, first in record.switches.items()}
        for name, title, series in (
            ("charts/loss", "Loss, nats a token", losses),
            ("charts/error_rates", "Error rates, held out", rates),
        ):
            step = self._step_of(milestone)
            self.tracker.log_lines(name, title, series, axis="step", marks=marks, step=step)

        if milestone.evaluation is not None:
            types = error_types([one.errors for one in milestone.evaluation.predictions])
            log_error_types(self.tracker, types, step=self._step_of(milestone))

    def _step_of(self, milestone: Milestone) -> int:
        """The step that an evaluation is logged at."""
        return milestone.steps + (milestone.steps == self.occupied_step)

    # Models

    def log_checkpoint(
        self, record: RunRecord, checkpoint: Path, *, best: bool
    ) -> dict[str, LoggedModel]:
        """Log a checkpoint at once, if the run is online and the recipe asks for it.

        An offline run copies what it logs, so it logs at its end, and only what is left then.
        """
        kind = self.recipe.wandb.log_model
        if self.tracker.mode != "online" or not (
            kind == "checkpoints" or (kind == "best" and best)
        ):
            return {}
        return self._log_model(record, checkpoint, [checkpoint.name, *(["best"] if best else [])])

    def log_models_at_the_end(self, record: RunRecord, out: Path) -> dict[str, LoggedModel]:
        """Log the final model, and the checkpoints that an offline run has not logged before."""
        kind = self.recipe.wandb.log_model
        if kind == "none":
            return {}
        logged: dict[str, LoggedModel] = {}
        if self.tracker.mode == "offline" and kind in ("best", "checkpoints"):
            best = (out / "best").resolve().name
            for name in dict.fromkeys(one.checkpoint for one in record.evaluations):
                if (out / name).is_dir() and (name == best or kind == "checkpoints"):
                    aliases = [name, *(["best"] if name == best else [])]
                    logged |= self._log_model(record, out / name, aliases)
        return logged | self._log_model(record, out / "final", ["final"])

    def _log_model(
        self, record: RunRecord, folder: Path, aliases: list[str]
    ) -> dict[str, LoggedModel]:
        """Log a model with its rates; returns its reference by its folder's name."""
        own = [one for one in record.evaluations if one.checkpoint == folder.name]
        last: Evaluated | None = next(reversed(own or record.evaluations), None)
        rates = None if last is None else last.evaluation
        reference = self.tracker.log_model_artifact(
            folder,
            f"{self.name}-model",
            aliases,
            {
                "step": record.plan.steps if last is None else last.steps,
                "epoch": None if last is None else last.epoch,
                "wer": None if rates is None else rates.wer,
                "cer": None if rates is None else rates.cer,
                "report_digest": record.phase0.digest,
                "dataset_fingerprint": record.phase0.dataset_fingerprint,
            },
        )
        if not reference:
            return {}
        digest = self.tracker.digest_of(reference)
        return {folder.name: LoggedModel(reference=reference, digest=digest)}

    # The end

    def tested(self, metrics: dict[str, float], steps: int) -> None:
        """Log the rates of the final model on the test split."""
        # One step on: the last step's row may be complete already.
        self.tracker.log_metrics(metrics, step=steps + 1)

    def finished(self, steps: int, best_wer: float | None, time: TimeSpent) -> None:
        """The run is finished."""
        self.tracker.log_summary(time_metrics(time))
        if best_wer is not None:
            self.tracker.log_summary({"best_wer": best_wer})
        if self.recipe.wandb.alerts.complete:
            wer = "" if best_wer is None else f", best WER {100 * best_wer:.1f} %"
            self._alert("training complete", f"{steps} steps{wer}")

    def diverged(self, reason: str) -> None:
        """Alert a person that the run diverged, if the recipe asks for it."""
        if self.recipe.wandb.alerts.nan:
            self._alert("training diverged", reason, "ERROR")

    def _alert(self, title: str, text: str, level: str = "INFO") -> None:
        self.tracker.alert(f"{self.name}: {title}", text, level)


def _rows(record: RunRecord) -> list[dict[str, Any]]:
    """Losses and evaluations of a record as W&B's rows, in the order of their steps."""
    rows: list[dict[str, Any]] = [
        {"train/loss": one.loss, "train/step": one.step, "train/epoch": one.epoch}
        for one in record.steps
    ]
    for one in record.evaluations:
        found = one.evaluation
        rates = (
            {}
            if found is None
            else {"eval/loss": found.loss, "eval/wer": found.wer, "eval/cer": found.cer}
        )
        rows.append({**rates, "train/step": one.steps, "train/epoch": one.epoch})
    return sorted(rows, key=lambda row: int(row["train/step"]))
