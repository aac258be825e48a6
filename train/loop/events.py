"""What the loop reports while it trains, and how it may end early."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from asr_gate.corpus.errors import UserError
from asr_gate.corpus.utterance import Seconds
from asr_gate.train.evaluation.evaluate import EvaluationResult
from asr_gate.train.model.parameter_groups import MatchedGroup
from asr_gate.train.plan import Refused


class Diverged(UserError):
    """The loss or a gradient is not finite, or the loss jumped."""


class Stopped(Exception):
    """The run was asked to stop; its state is on disk."""

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
    """In nats per supervised token, each weighted by its row's weight."""
    usual_loss: float | None
    """Median of the losses of the last steps before this one; None: there were too few."""
    gradient_norm: float
    """Before clipping."""
    learning_rates: dict[str, float]
    """By group."""
    rows: int
    """Rows in the step's batches, of all processes."""
    tokens: int
    """Supervised tokens."""
    audio: Seconds
    """Audio in the step's batches, without padding."""
    wall: Seconds
    """From asking for the batches to the end of the optimizer's step; no evaluation, no logging."""
    batch: int = 0
    """Batches of the epoch so far, of all processes, as if each step had its full number."""


@dataclass(frozen=True, slots=True)
class Milestone:
    """An evaluation, with the checkpoint that was evaluated."""

    epoch: int
    phase: str
    steps: int
    """Steps so far, over all epochs."""
    loss: float
    """Mean over the epoch's supervised tokens so far, each by its row's weight, in nats."""
    evaluation: EvaluationResult | None
    """None: no held-out row could be read."""
    checkpoint: Path
    """`epoch-N` at the end of an epoch, `step-N` within it."""
    wall: Seconds
    """Since the epoch began or was resumed."""


class Observer(Protocol):
    """Is told what the loop does."""

    def phase_begins(self, epoch: int, phase: str, groups: Sequence[MatchedGroup]) -> None:
        """The parameters of `groups` train from this epoch on, all others are frozen."""

    def step_done(self, record: StepRecord) -> None:
        """The optimizer has made a step."""

    def rows_refused(self, refused: Sequence[Refused]) -> None:
        """Rows turned out to be unusable when their audio was opened."""

    def saving(self) -> None:
        """The state for resuming is about to be written; nothing reported so far may be lost."""

    def evaluated(self, record: Milestone) -> None:
        """The model was evaluated within an epoch, and its checkpoint was written."""

    def epoch_done(self, record: Milestone) -> None:
        """The epoch is over: the model was evaluated, and its checkpoint was written."""

    def tested(self, result: EvaluationResult) -> None:
        """The final model was evaluated on the test split."""
