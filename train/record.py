"""`run.json`, the record of a training run: one typed model for everybody who writes or reads it.

    {"schema_version": 1, "status": "finished", "recipe": "round2", "config": {…}, "phase0": {…},
     "plan": {…}, "steps": […], "evaluations": […], "epochs": […], "tracking": {…}, …}

A record is never changed in place: the run recorder makes a new one for each event. Nothing here
imports torch.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError

from asr_gate.corpus.errors import UserError
from asr_gate.corpus.files import RECORD_LIMIT
from asr_gate.corpus.strict import read_json
from asr_gate.corpus.utterance import Seconds
from asr_gate.train.files import write_json
from asr_gate.train.plan import Plan, Refused, Section, TimeSpent
from asr_gate.train.recipes import Recipe, changes, is_free

RUN_FILE = "run.json"
REFUSED_FILE = "refused.jsonl"
"""In the folder of the runs: one line for each training that was refused with W&B on."""
SCHEMA_VERSION: Literal[1] = 1

CHECKPOINT_NAME = r"(epoch|step)-\d+"
"""Folder names of a run's checkpoints."""


class Phase0(Section):
    """The audit that the run rests on."""

    decision: str
    low_quality_percentage: float
    mean_coverage: float
    digest: str
    dataset_fingerprint: str
    artifact: str
    """`wandb:ENTITY/PROJECT/phase0-audit-report:proceed`; without the address if it is unknown."""


class LoggedStep(Section):
    """The loss of one step."""

    step: int
    epoch: int
    loss: float
    """In nats per token."""


class Rates(Section):
    """Error rates on a set of utterances."""

    loss: float
    """In nats per token."""
    wer: float = Field(ge=0, allow_inf_nan=False)
    cer: float = Field(ge=0, allow_inf_nan=False)
    utterances: int = Field(ge=1)
    words: int = Field(ge=1)
    """Number of words in the references."""


class EvaluationRates(Rates):
    """Error rates on the held-out rows, overall and by domain."""

    domains: dict[str, Rates]
    unfinished: int = Field(default=0, ge=0)
    """Transcripts that were cut off, because the model did not end them."""


class Evaluated(Section):
    """One evaluation."""

    steps: int
    """Steps of the run so far."""
    epoch: int
    checkpoint: str = Field(pattern=f"^{CHECKPOINT_NAME}$")
    """Folder of the checkpoint that was evaluated."""
    evaluation: EvaluationRates | None
    """None: no held-out row could be read."""


class FinishedEpoch(Evaluated):
    """One epoch, with the evaluation at its end."""

    phase: str
    loss: float
    """Mean over the epoch's tokens, each by its row's weight, in nats."""
    seconds: Seconds


class LoggedModel(Section):
    """A checkpoint that the tracker has as an artifact."""

    reference: str
    digest: str


class Tracking(Section):
    """The tracked run."""

    run_id: str
    """Empty: the run is not tracked in W&B."""
    mode: str
    models: dict[str, LoggedModel] = Field(default_factory=dict)
    """Logged models by their folder's name."""


class Progress(Section):
    """What a run has spent until its last state on disk or its last evaluation.

    What is lost after that, and made again when the run is resumed, counts once.
    """

    seconds: Seconds = 0.0
    """Of training, evaluations and checkpoints, over all starts of the run."""
    audio: Seconds = 0.0
    """Audio that was trained on; each epoch counts."""


class TargetReached(Section):
    """The first evaluation whose WER was at `evaluation.target_wer` or below."""

    target_wer: float
    wer: float
    step: int
    epoch: int
    """The epoch that the step is of."""
    hours: float
    """Time of the run until then, that evaluation included."""
    audio_hours: float
    """Audio that was trained on until then; each epoch counts."""


Status = Literal["running", "finished", "stopped", "interrupted", "failed"]


class RunRecord(Section):
    """One training run, from its first step to its end."""

    schema_version: Literal[1] = SCHEMA_VERSION
    recipe: str
    """Name of the recipe."""
    config: Recipe
    """The recipe as it ran, without secrets."""
    phase0: Phase0
    plan: Plan
    status: Status = "running"
    reason: str | None = None
    """Why the run ended early."""
    unfit: bool = False
    """Whether it failed by its recipe: it diverged, or a batch does not fit into memory. Else what
    failed lies outside, such as a full disk, and the run can go on."""
    refused_while_reading: list[Refused] = Field(default_factory=list)
    """Rows that turned out to be unusable when their audio was opened."""
    steps: list[LoggedStep] = Field(default_factory=list)
    """Every `wandb.log_interval` steps."""
    evaluations: list[Evaluated] = Field(default_factory=list)
    epochs: list[FinishedEpoch] = Field(default_factory=list)
    test: EvaluationRates | None = None
    """Rates of the final model on the test split; None: there is none, or it is not done yet."""
    switches: dict[str, int] = Field(default_factory=dict)
    """First step of each phase."""
    progress: Progress = Progress()
    target: TargetReached | None = None
    """None: there is no `evaluation.target_wer`, or it is not reached."""
    time: TimeSpent = TimeSpent()
    """Of the first process, over all starts of the run."""
    tracking: Tracking = Tracking(run_id="", mode="disabled")

    def best_wer(self) -> float | None:
        """The lowest WER of all evaluations so far; None: there is none."""
        rates = (one.evaluation for one in self.evaluations)
        return min((one.wer for one in rates if one is not None), default=None)

    def before(self, step: int, *, evaluation_due: bool) -> RunRecord:
        """What still holds when the run is resumed after `step`; what comes later is repeated.

        Args:
            step: the last step whose result is kept.
            evaluation_due: whether the evaluation after that step has still to be made.
        """
        evaluated = step - 1 if evaluation_due else step
        return self.model_copy(
            update={
                "status": "running",
                "reason": None,
                "unfit": False,
                "steps": [one for one in self.steps if one.step <= step],
                # A phase that no kept step followed begins again.
                "switches": {name: at for name, at in self.switches.items() if at <= step},
                "evaluations": [one for one in self.evaluations if one.steps <= evaluated],
                "epochs": [one for one in self.epochs if one.steps <= evaluated],
                "progress": self.progress if step else Progress(),
                "target": self.target if self.target and self.target.step <= evaluated else None,
            }
        )

    def require_same_run(self, earlier: RunRecord, folder: Path) -> list[str]:
        """Refuse to resume a run where that would not give what the run would have given.

        Returns:
            What changed and may: `data.workers=8 (was 4)`.

        Raises:
            UserError: the differences, by their keys; another audit, or other batches a step.
        """
        changed = changes(self.config, earlier.config)
        # The batches of a step are divided between the processes.
        steps = changed.pop("optimizer.accumulate", None)
        kept = [key for key in changed if not is_free(key)]
        kept += [
            f"phase0.{key}"
            for key in ("digest", "dataset_fingerprint")
            if getattr(self.phase0, key) != getattr(earlier.phase0, key)
        ]
        ours_own, theirs_own = self.plan.own, earlier.plan.own
        kept += [
            f"data.{key} (its rows or audio)"
            for key in sorted(ours_own.keys() & theirs_own.keys())
            if ours_own[key].fingerprint != theirs_own[key].fingerprint
        ]
        if kept:
            best = folder / "best"
            weights = f" (from its weights: model.pretrained={best})" if best.exists() else ""
            raise UserError(
                f"{folder}: was started with another {', '.join(kept)}; resume it with the "
                f"same, or start a new run without --resume{weights}"
            )
        self._require_same_steps(earlier, folder)
        if steps is not None:
            changed["optimizer.accumulate"] = steps
        return [f"{key}={ours} (was {theirs})" for key, (ours, theirs) in changed.items()]

    def _require_same_steps(self, earlier: RunRecord, folder: Path) -> None:
        """Refuse another number of batches in a step of all processes."""
        processes = self.plan.processes
        before = earlier.plan.processes * earlier.config.optimizer.accumulate
        if processes * self.config.optimizer.accumulate == before:
            return
        fitting = [n for n in range(1, before + 1) if before % n == 0]
        advice = (
            f"for {processes} now, say optimizer.accumulate={before // processes}"
            if processes in fitting
            else f"start one of {', '.join(map(str, fitting))} processes"
        )
        raise UserError(
            f"{folder}: was started with {earlier.plan.processes} processes and "
            f"optimizer.accumulate={earlier.config.optimizer.accumulate}, so a step has {before} "
            f"batches; {advice}"
        )


def write_record(folder: Path, record: RunRecord) -> None:
    """Write `run.json` into a run's folder, in one step.

    Raises:
        UserError: the disk is full or not writable.
    """
    write_json(folder / RUN_FILE, record.model_dump(mode="json"))


def read_record(folder: Path) -> RunRecord:
    """Read the `run.json` of a run's folder.

    Raises:
        UserError: there is none, it is damaged, or another version of asr-gate wrote it.
    """
    path = folder / RUN_FILE
    try:
        content = read_json(path, RECORD_LIMIT)
    except OSError as error:
        raise UserError(
            f"{path}: cannot be read ({error.strerror}); name the folder of a run of asr train"
        ) from error
    except ValueError as error:
        raise UserError(f"{path}: not the record of a run ({error})") from error
    version = content.get("schema_version") if isinstance(content, dict) else None
    if version != SCHEMA_VERSION:
        raise UserError(
            f"{path}: has schema version {version}, and this asr-gate reads {SCHEMA_VERSION}; "
            "train again without --resume"
        )
    try:
        return RunRecord.model_validate(content)
    except ValidationError as error:
        fault = error.errors()[0]
        where = ".".join(map(str, fault["loc"]))
        raise UserError(f"{path}: not the record of a run ({where}: {fault['msg']})") from error


def logged_model(checkpoint: Path) -> tuple[str, str] | None:
    """Reference and digest of the artifact that a run logged a checkpoint as; None: it did not."""
    folder = checkpoint.resolve()
    try:
        logged = read_record(folder.parent).tracking.models.get(folder.name)
    except UserError:
        return None  # the checkpoint is not from a run of ours
    return None if logged is None else (logged.reference, logged.digest)
