"""What a run tells: `run.json`, the tracker, the log, and whoever waits at the terminal."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Sequence
from dataclasses import asdict
from logging import Logger
from pathlib import Path
from statistics import median
from typing import Any

from torch import nn

from asr_gate.tracking import Tracker
from asr_gate.train.checkpoint import write_json
from asr_gate.train.data import Refused
from asr_gate.train.loop import RECENT, SETTLED, Milestone, StepRecord
from asr_gate.train.phases import MatchedGroup
from asr_gate.train.profile import StepProfile, in_words
from asr_gate.train.progress import Reporter
from asr_gate.train.recipe import Recipe
from asr_gate.train.resume import Position
from asr_gate.train.scoring import normalise


class Journal:
    """An observer of the loop; `run.json` is rewritten after each evaluation and at the end."""

    def __init__(
        self,
        out: Path | None,
        header: dict[str, Any],
        tracker: Tracker,
        reporter: Reporter,
        log: Logger,
        *,
        recipe: Recipe,
        model: nn.Module,
        steps: int,
        profile: StepProfile | None = None,
        earlier: dict[str, Any] | None = None,
        at: Position | None = None,
    ) -> None:
        """Begin to tell.

        Args:
            out: the run's folder; None: another process writes there.
            header: what the run is.
            tracker: where metrics go; its run has begun.
            reporter: who is shown how far the run is.
            log: takes a line, with figures, for each event.
            recipe: of the run.
            model: whose gradients or parameters the tracker may watch.
            steps: of the whole run.
            profile: traces some steps; None: nothing does.
            earlier: what an earlier start told, which this one goes on with.
            at: where it goes on.
        """
        self.out = out
        self.tracker = tracker
        self.reporter = reporter
        self.log = log
        self.recipe = recipe
        self.model = model
        self.total_steps = steps
        self.profile = profile
        self.content: dict[str, Any] = {
            **header,
            "status": "running",
            "refused_while_reading": [],
            "steps": [],
            "evaluations": [],
            "epochs": [],
            "switches": {},
        }
        if earlier is not None:
            self.content["refused_while_reading"] = earlier["refused_while_reading"]
            done = at.step if at else 0
            self.content["steps"] = [one for one in earlier["steps"] if one["step"] <= done]
            # One that no step followed in what is kept is told again.
            switches = earlier.get("switches", {})
            self.content["switches"] = {n: first for n, first in switches.items() if first <= done}
            # What is evaluated again is told again.
            evaluated = done - 1 if at and at.due else done
            for key in ("evaluations", "epochs"):
                self.content[key] = [one for one in earlier[key] if one["steps"] <= evaluated]
        self.content["tracking"] = {
            "run_id": tracker.run_id,
            "mode": tracker.mode,
            "models": (earlier or {}).get("tracking", {}).get("models", {}),
        }
        if earlier is not None and not tracker.run_id:
            # Not tracked this time: the run that it was tracked in is still there.
            self.content["tracking"] = earlier.get("tracking", self.content["tracking"])
        self._refused = {row["id"] for row in self.content["refused_while_reading"]}
        self._step = at.step if at else 0
        # An evaluation in which the earlier start was stopped: W&B's run may have that step's row
        # already, and takes no more of it.
        before = earlier or {}
        goes_on = tracker.run_id and tracker.run_id == before.get("tracking", {}).get("run_id")
        told = [one["steps"] for one in before.get("evaluations", ())]
        self._late = at.step if at and at.due and goes_on and at.step not in told else None
        self._recent: deque[float] = deque(at.recent if at else (), maxlen=RECENT)
        self._window: list[StepRecord] = []
        self._define()
        if goes_on:
            self.tracker.make_up(self._rows())
        self.save()

    def _rows(self) -> list[dict[str, Any]]:
        """Losses and evaluations that were told before, as W&B's rows, in the order of steps."""
        rows = [
            {"train/loss": one["loss"], "train/step": one["step"], "train/epoch": one["epoch"]}
            for one in self.content["steps"]
        ]
        for one in self.content["evaluations"]:
            found = one["evaluation"] or {}
            rates = {f"eval/{key}": found[key] for key in ("loss", "wer", "cer") if key in found}
            rows.append({**rates, "train/step": one["steps"], "train/epoch": one["epoch"]})
        return sorted(rows, key=lambda row: int(row["train/step"]))

    def saving(self) -> None:
        """Write what was told so far."""
        self.save()

    def save(self) -> None:
        """Write `run.json` as it stands."""
        if self.out is not None:
            write_json(self.out / "run.json", self.content)

    def end(self, status: str, reason: str | None = None) -> None:
        """The run is over: `finished`, `stopped`, `interrupted` or `failed`."""
        self.content["status"] = status
        if reason is not None:
            self.content["reason"] = reason
        # At once: a model may be large, and logging it long.
        self.save()
        if self.profile is not None:
            self.profile.close()
            self._tell_profile()
        alerts, name = self.recipe.wandb.alerts, self.content["recipe"]
        if status == "finished":
            self._log_models()
            best = self._best()
            wer = "" if best is None else f", best WER {100 * best:.1f} %"
            self.log.debug("finished", extra={"event": "end", "status": status, "best_wer": best})
            if best is not None:
                self.tracker.log_summary({"best_wer": best})
            if alerts.complete:
                self.tracker.alert(f"{name}: training complete", f"{self._step} steps{wer}")
        else:
            extra = {"event": "end", "status": status, "reason": reason}
            self.log.debug("ended early", extra=extra)
        self.save()

    def diverged(self, reason: str) -> None:
        """The loss or the gradients are no numbers, or the loss leapt."""
        self.end("failed", reason)
        if self.recipe.wandb.alerts.nan:
            self.tracker.alert(f"{self.content['recipe']}: training diverged", reason, "ERROR")

    def phase_begins(self, epoch: int, phase: str, groups: Sequence[MatchedGroup]) -> None:
        """Say which groups train now."""
        trained = ", ".join(f"{group.name} {group.learning_rate:.1e}" for group in groups)
        self.log.info(
            f"epoch {epoch}: phase {phase} trains {trained}; the rest is frozen",
            extra={"event": "phase", "epoch": epoch, "phase": phase, "step": self._step},
        )
        self.tracker.watch_model(self.model)
        switches = self.content["switches"]
        if phase in switches:
            return  # it began before
        names = (name for group in groups for name in group.parameters)
        layers = {found[1] for n in names if (found := re.search(r"audio_tower\.layers\.(\d+)", n))}
        # The first step that is taken so.
        step = switches[phase] = self._step + 1
        self.tracker.log_metrics(
            {
                "training/strategy": phase,
                "training/strategy_switch": int(len(switches) > 1),
                "training/strategy_number": self._number(phase),
                "training/audio_layers_unfrozen": len(layers),
                "train/step": step,
                "train/epoch": epoch,
            },
            step=step,
        )

    def step_done(self, record: StepRecord) -> None:
        """Show the step; every few steps log the loss, the rates and the speed."""
        self._step = record.step
        self.reporter.step(
            record.step,
            self.total_steps,
            f"epoch {record.epoch}/{self.recipe.epochs} ({record.phase})",
            record.loss,
            record.audio,
        )
        figures = {"step": record.step, "epoch": record.epoch, "loss": record.loss}
        more = {"grad_norm": record.gradient_norm, "seconds": round(record.wall, 4)}
        self.log.debug("step", extra={"event": "step", **figures, **more})
        self._watch_loss(record)
        if self.profile is not None:
            self.profile.step_done(record)
            self._tell_profile()
        self._window.append(record)
        last = record.step == self.total_steps
        settings = self.recipe.wandb
        due = record.step % settings.log_interval == 0 or last
        if record.step % settings.detailed_interval == 0 or last:
            if not due:  # their axis
                self.tracker.log_metrics({"train/step": record.step}, step=record.step)
            self.tracker.log_system_metrics(step=record.step)
        if not due:
            return
        window, self._window = self._window, []
        wall = max(sum(one.wall for one in window), 1e-9)
        self.content["steps"].append(figures)
        self.tracker.log_training_metrics(
            loss=record.loss,
            learning_rate=record.learning_rates,
            epoch=record.epoch,
            step=record.step,
            grad_norm=record.gradient_norm,
            batch_time=wall / len(window),
            samples_per_sec=sum(one.rows for one in window) / wall,
            audio_seconds_per_sec=sum(one.audio for one in window) / wall,
            tokens_per_sec=sum(one.tokens for one in window) / wall,
        )
        number = {"training/strategy_number": self._number(record.phase)}
        self.tracker.log_metrics(number, step=record.step)

    def rows_refused(self, refused: Sequence[Refused]) -> None:
        """List each row once, however many epochs meet it."""
        for row in refused:
            if row.id not in self._refused:
                self._refused.add(row.id)
                self.content["refused_while_reading"].append(asdict(row))
                self.log.info(
                    f"left out: {row.id}: {row.reason} ({row.rule})",
                    extra={"event": "refused", **asdict(row)},
                )

    def evaluation_begins(self, epoch: int) -> None:
        """Nothing to say: the epoch's line follows."""

    def evaluated(self, record: Milestone) -> None:
        """Say, log and write what an evaluation came to."""
        self._tell(record, f"step {record.steps}/{self.total_steps}")

    def epoch_done(self, record: Milestone) -> None:
        """Say, log and write what the epoch came to."""
        self.content["epochs"].append(
            {
                "epoch": record.epoch,
                "phase": record.phase,
                "steps": record.steps,
                "loss": record.loss,
                "evaluation": _dict(record),
                "checkpoint": record.checkpoint.name,
                "seconds": round(record.wall, 3),
            }
        )
        epoch = {"epoch/train_loss": record.loss, "epoch/seconds": record.wall}
        if record.evaluation is not None:
            scores = record.evaluation.scores
            epoch |= {
                "epoch/eval_loss": record.evaluation.loss,
                "epoch/wer": scores.wer,
                "epoch/cer": scores.cer,
            }
        self._tell(
            record, f"epoch {record.epoch}/{self.recipe.epochs}", {**epoch, "epoch": record.epoch}
        )
        self._draw(self._row_of(record))

    def _tell(self, record: Milestone, where: str, more: dict[str, Any] | None = None) -> None:
        result = record.evaluation
        line = f"{where} ({record.phase}): loss {record.loss:.3f}"
        metrics: dict[str, Any] = {} if more is None else more
        before = self._best()
        if result is None:
            line += ", nothing evaluated (no held-out row could be read)"
        else:
            line += (
                f", held out: loss {result.loss:.3f}, WER {100 * result.scores.wer:.1f} %, "
                f"CER {100 * result.scores.cer:.1f} %"
            )
            metrics |= {
                "eval/loss": result.loss,
                "eval/wer": result.scores.wer,
                "eval/cer": result.scores.cer,
            }
            for domain, scores in result.domains.items():
                metrics[f"eval/{domain}/wer"] = scores.wer
                metrics[f"eval/{domain}/cer"] = scores.cer
                self._define_rates(f"eval/{domain}")
        self.content["evaluations"].append(
            {
                "steps": record.steps,
                "epoch": record.epoch,
                "checkpoint": record.checkpoint.name,
                "evaluation": _dict(record),
            }
        )
        self.save()
        extra = {"event": "evaluation", "step": record.steps, "phase": record.phase, **metrics}
        self.log.info(f"{line} ({record.wall:.1f} s)", extra=extra)
        if metrics:
            at = {"train/step": record.steps, "train/epoch": record.epoch}
            self.tracker.log_metrics({**metrics, **at}, step=self._row_of(record))
        if result is None:
            return
        self.tracker.log_predictions(
            (
                {
                    "epoch": record.epoch,
                    "id": one.id,
                    "domain": one.domain,
                    "wer": one.errors.word_errors / one.errors.words,
                    # As they are compared: without case and punctuation.
                    "reference": normalise(one.reference, one.language),
                    "hypothesis": normalise(one.hypothesis, one.language),
                }
                for one in result.predictions
            ),
            step=self._row_of(record),
        )
        self._improved(record, result.scores.wer, before)

    def _improved(self, record: Milestone, wer: float, before: float | None) -> None:
        """Whether this is the best model so far: an alert, an artifact."""
        best = before is None or wer <= before  # the later of equals, as the link `best` has it
        least = self.recipe.wandb.alerts.best_wer
        if least is not None and before is not None and before - wer > least:
            self.tracker.alert(
                f"{self.content['recipe']}: best WER so far",
                f"{100 * wer:.2f} % after step {record.steps}, from {100 * before:.2f} %",
            )
        kind = self.recipe.wandb.log_model
        # An offline run copies what it logs: it logs at its end, and only what is left then.
        if self.tracker.mode == "online" and (kind == "checkpoints" or (kind == "best" and best)):
            aliases = [record.checkpoint.name, *(["best"] if best else [])]
            self._log_model(record.checkpoint, aliases)

    def _best(self) -> float | None:
        """The lowest WER of all evaluations so far; None: there is none."""
        results = (one["evaluation"] for one in self.content["evaluations"])
        return min((one["wer"] for one in results if one is not None), default=None)

    def _log_models(self) -> None:
        """At the end: the final model, and what an offline run has not logged before."""
        kind = self.recipe.wandb.log_model
        if self.out is None or kind == "none":
            return
        if self.tracker.mode == "offline" and kind in ("best", "checkpoints"):
            best = (self.out / "best").resolve().name
            for name in dict.fromkeys(one["checkpoint"] for one in self.content["evaluations"]):
                folder = self.out / name
                if folder.is_dir() and (name == best or kind == "checkpoints"):
                    self._log_model(folder, [name, *(["best"] if name == best else [])])
        self._log_model(self.out / "final", ["final"])

    def _log_model(self, folder: Path, aliases: list[str]) -> None:
        told = [one for one in self.content["evaluations"] if one["checkpoint"] == folder.name]
        told = told or self.content["evaluations"]
        rates = (told[-1]["evaluation"] if told else None) or {}
        phase0 = self.content["phase0"]
        reference = self.tracker.log_model_artifact(
            folder,
            f"{self.content['recipe']}-model",
            aliases,
            {
                "step": told[-1]["steps"] if told else self._step,
                "epoch": told[-1]["epoch"] if told else None,
                "wer": rates.get("wer"),
                "cer": rates.get("cer"),
                "report_digest": phase0["digest"],
                "dataset_fingerprint": phase0["dataset_fingerprint"],
            },
        )
        if reference:
            logged = {"reference": reference, "digest": self.tracker.digest_of(reference)}
            self.content["tracking"]["models"][folder.name] = logged

    def _tell_profile(self) -> None:
        """Say it once, when the steps are traced or the run ends before."""
        if self.profile is not None and self.profile.summary is not None:
            self.log.info(f"profile: {in_words(self.profile.summary)}: {self.profile.folder}")
            self.profile = None
        elif self.profile is not None and self.content["status"] != "running":
            self.log.info("profile: the run took too few steps for a trace")
            self.profile = None

    def _watch_loss(self, record: StepRecord) -> None:
        """Tell a person of a loss that is far above the usual."""
        factor = self.recipe.wandb.alerts.loss_spike
        usual = median(self._recent) if len(self._recent) >= SETTLED else None
        if factor is not None and usual is not None and record.loss > factor * usual:
            text = (
                f"step {record.step}: {record.loss:.3g}, {record.loss / usual:.1f} times the usual"
            )
            self.log.warning(f"the loss leapt at {text}", extra={"event": "loss_spike"})
            self.tracker.alert(f"{self.content['recipe']}: loss spike", text, "WARN")
        self._recent.append(record.loss)

    def _define(self) -> None:
        """Each chart's axis, and what stands in the table of runs."""
        self.tracker.define("train/step")
        for pattern in ("train/*", "eval/*", "training/*", "system/*"):
            self.tracker.define(pattern, axis="train/step")
        self.tracker.define("epoch")
        self.tracker.define("epoch/*", axis="epoch")
        self.tracker.define("train/loss", axis="train/step", best="min")
        self._define_rates("eval")
        self.tracker.define("eval/loss", axis="train/step", best="min")

    def _define_rates(self, prefix: str) -> None:
        for rate in ("wer", "cer"):
            self.tracker.define(f"{prefix}/{rate}", axis="train/step", best="min")

    def _draw(self, step: int) -> None:
        """The curves so far, with the switches marked."""
        steps, told = self.content["steps"], self.content["evaluations"]
        rated = [(one["steps"], one["evaluation"]) for one in told if one["evaluation"]]
        at = [number for number, _ in rated]
        losses = {
            "train": ([one["step"] for one in steps], [one["loss"] for one in steps]),
            "held out": (at, [result["loss"] for _, result in rated]),
        }
        rates = {name: (at, [result[name] for _, result in rated]) for name in ("wer", "cer")}
        marks = {f"phase {name}": first for name, first in self.content["switches"].items()}
        for name, title, series in (
            ("charts/loss", "Loss, nats a token", losses),
            ("charts/error_rates", "Error rates, held out", rates),
        ):
            self.tracker.log_lines(name, title, series, axis="step", marks=marks, step=step)

    def _row_of(self, record: Milestone) -> int:
        """The step that what is told of an evaluation is logged at."""
        return record.steps + (record.steps == self._late)

    def _number(self, phase: str) -> int:
        return [one.name for one in self.recipe.phases].index(phase) + 1


def _dict(record: Milestone) -> dict[str, Any] | None:
    return None if record.evaluation is None else record.evaluation.as_dict()
