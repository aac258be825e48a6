"""What a run tells: `run.json`, the tracker, and whoever waits at the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from corpus.utterance import Seconds
from tracking import Tracker
from train.checkpoint import write_json
from train.data import Refused
from train.loop import Milestone, StepRecord
from train.phases import MatchedGroup
from train.progress import Reporter
from train.resume import Position


class Journal:
    """An observer of the loop; `run.json` is rewritten after each evaluation and at the end."""

    def __init__(
        self,
        out: Path | None,
        header: dict[str, Any],
        tracker: Tracker,
        reporter: Reporter,
        *,
        steps: int,
        epochs: int,
        every_steps: int,
        samples: int,
        earlier: dict[str, Any] | None = None,
        at: Position | None = None,
    ) -> None:
        """Begin to tell.

        Args:
            out: the run's folder; None: another process writes there.
            header: what the run is.
            tracker: where metrics go.
            reporter: who is shown how far the run is.
            steps: of the whole run.
            epochs: likewise.
            every_steps: between two entries.
            samples: predictions shown of each evaluation.
            earlier: what an earlier start told, which this one goes on with.
            at: where it goes on.
        """
        self.path = None if out is None else out / "run.json"
        self.tracker = tracker
        self.reporter = reporter
        self.total_steps = steps
        self.total_epochs = epochs
        self.every_steps = every_steps
        self.samples = samples
        self.content: dict[str, Any] = {
            **header,
            "status": "running",
            "refused_while_reading": [],
            "steps": [],
            "evaluations": [],
            "epochs": [],
        }
        if earlier is not None:
            self.content["refused_while_reading"] = earlier["refused_while_reading"]
            done = at.step if at else 0
            self.content["steps"] = [one for one in earlier["steps"] if one["step"] <= done]
            # What is evaluated again is told again.
            evaluated = done - 1 if at and at.due else done
            for key in ("evaluations", "epochs"):
                self.content[key] = [one for one in earlier[key] if one["steps"] <= evaluated]
        self._refused = {row["id"] for row in self.content["refused_while_reading"]}
        self._window_audio: Seconds = 0.0
        self._window_wall: Seconds = 0.0
        self.save()

    def saving(self) -> None:
        """Write what was told so far."""
        self.save()

    def save(self) -> None:
        """Write `run.json` as it stands."""
        if self.path is not None:
            write_json(self.path, self.content)

    def end(self, status: str, reason: str | None = None) -> None:
        """The run is over: `finished`, `interrupted` or `failed`."""
        self.content["status"] = status
        if reason is not None:
            self.content["reason"] = reason
        self.save()

    def phase_begins(self, epoch: int, phase: str, groups: Sequence[MatchedGroup]) -> None:
        """Say which groups train now."""
        trained = ", ".join(f"{group.name} {group.learning_rate:.1e}" for group in groups)
        self.reporter.note(f"epoch {epoch}: phase {phase} trains {trained}; the rest is frozen")

    def step_done(self, record: StepRecord) -> None:
        """Show the step; every few steps log the loss, the rates and the speed."""
        self.reporter.step(
            record.step,
            self.total_steps,
            f"epoch {record.epoch}/{self.total_epochs} ({record.phase})",
            record.loss,
            record.audio,
        )
        self._window_audio += record.audio
        self._window_wall += record.wall
        if record.step % self.every_steps and record.step != self.total_steps:
            return
        speed = self._window_audio / max(self._window_wall, 1e-9)
        self._window_audio = self._window_wall = 0.0
        self.content["steps"].append(
            {"step": record.step, "epoch": record.epoch, "loss": record.loss}
        )
        self.tracker.log_metrics(
            {
                "train/loss": record.loss,
                "train/epoch": record.epoch,
                "train/gradient_norm": record.gradient_norm,
                "train/rtfx": speed,
                **{f"train/lr/{name}": rate for name, rate in record.learning_rates.items()},
            },
            step=record.step,
        )

    def rows_refused(self, refused: Sequence[Refused]) -> None:
        """List each row once, however many epochs meet it."""
        for row in refused:
            if row.id not in self._refused:
                self._refused.add(row.id)
                self.content["refused_while_reading"].append(asdict(row))
                self.reporter.note(f"left out: {row.id}: {row.reason} ({row.rule})")

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
        self._tell(
            record,
            f"epoch {record.epoch}/{self.total_epochs}",
            {"train/epoch_loss": record.loss, "train/epoch": record.epoch},
        )

    def _tell(self, record: Milestone, where: str, more: dict[str, Any] | None = None) -> None:
        result = record.evaluation
        line = f"{where} ({record.phase}): loss {record.loss:.3f}"
        metrics: dict[str, Any] = {} if more is None else more
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
        self.content["evaluations"].append(
            {
                "steps": record.steps,
                "epoch": record.epoch,
                "checkpoint": record.checkpoint.name,
                "evaluation": _dict(record),
            }
        )
        self.save()
        self.reporter.note(f"{line} ({record.wall:.1f} s)")
        if metrics:
            self.tracker.log_metrics(metrics, step=record.steps)
        if result is not None and self.samples:
            shown = result.predictions[: self.samples]
            self.tracker.log_table(
                "eval/samples",
                ["epoch", "id", "domain", "reference", "hypothesis"],
                [[record.epoch, p.id, p.domain, p.reference, p.hypothesis] for p in shown],
                step=record.steps,
            )


def _dict(record: Milestone) -> dict[str, Any] | None:
    return None if record.evaluation is None else record.evaluation.as_dict()
