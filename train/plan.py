"""What a run will do, as its plan says before weights are loaded. Nothing here imports torch."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from asr_gate.corpus.utterance import Seconds


class Section(BaseModel):
    """Base of every part of the record."""

    # A loss may be infinite or not a number; JSON then says NaN, as Python's own writer does.
    model_config = ConfigDict(extra="forbid", frozen=True, ser_json_inf_nan="constants")


ALTERED = "altered"
"""Rule of a row whose audio is not what was audited; no run goes on past it."""


@dataclass(frozen=True, slots=True)
class Refused:
    """One utterance that a rule keeps out of training and evaluation."""

    id: str
    rule: str
    """`too_long`, `too_short`, `too_many_tokens`, `no_words`, `unreadable`, `skipped`,
    `altered`, or one of the model's family."""
    reason: str


class PlannedGroup(Section):
    """Parameters that train together."""

    name: str
    learning_rate: float
    parameters: int
    """Numbers in all its matrices and vectors."""


class PlannedPhase(Section):
    """Epochs in which the same groups train."""

    name: str
    epochs: list[int]
    groups: list[PlannedGroup]
    gradient_checkpointing: bool


class PlannedSplits(Section):
    """Which splits of the corpus a run uses, by their names."""

    train: str
    evaluation: str | None
    """None: manifests of their own, or held-out rows of the training split."""
    test: str | None
    """None: manifests of their own, or no test at the end."""
    rows: dict[str, int]
    """Rows of each split of the corpus; the name is empty for rows without one."""

    def uses(self, split: str | None) -> bool:
        """Whether rows of a split train, evaluate or test."""
        return split is not None and split in (self.train, self.evaluation, self.test)


HeldOutKind = Literal["speaker", "recording", "row"]


class PlannedHoldOut(Section):
    """How rows are held out of those to train on."""

    by: HeldOutKind
    """What is held out as a whole."""
    why: str | None
    """What there is too little of to hold out something larger; None: nothing larger is known."""
    groups: int
    """Speakers, recordings or rows that there are."""
    held: int
    """How many of them are held out."""


class OwnSet(Section):
    """Manifests of their own to evaluate or to test on; they were not audited."""

    manifests: list[str]
    rows: int
    fingerprint: str
    """`sha256:…` over rows, texts and audio, as that of an audited corpus."""


class TimeSpent(Section):
    """Seconds of a run by what they were spent on."""

    training: Seconds = 0.0
    """Forward, backward, optimizer; other processes waited for."""
    evaluation: Seconds = 0.0
    checkpoints: Seconds = 0.0
    """Checkpoints and states, as far as the training waited for them."""
    waiting: Seconds = 0.0
    """For data: the next batches were not read yet."""
    other: Seconds = 0.0
    """Loading the model, logging, and all else."""

    @property
    def total(self) -> Seconds:
        """All of it."""
        return math.fsum(getattr(self, kind) for kind in TimeSpent.model_fields)

    def shares(self) -> dict[str, float]:
        """The share of each kind, from 0 to 1."""
        total = self.total or 1.0
        return {kind: getattr(self, kind) / total for kind in TimeSpent.model_fields}

    def plus(self, more: TimeSpent) -> TimeSpent:
        """The sum of both."""
        kinds = TimeSpent.model_fields
        return TimeSpent(**{kind: getattr(self, kind) + getattr(more, kind) for kind in kinds})

    def in_words(self) -> str:
        """`93.1 % training, 3.2 % evaluation, …`."""
        named = {"waiting": "waiting for data", "other": "start and other"}
        return ", ".join(
            f"{100 * x:.1f} % {named.get(kind, kind)}" for kind, x in self.shares().items()
        )


class PlannedTime(Section):
    """How often a run evaluates and saves, and the time that it is expected to take."""

    evaluations: int
    """Of the held-out rows: within epochs, and at the end of each."""
    checkpoints: int
    """One for each evaluation, and the final model."""
    states: int
    """States for `--resume`."""
    written: int
    """Bytes of all checkpoints and states; most are deleted again."""
    machine: str | None = None
    """`2 x A100-80GB`; None: no machine that anything is known about."""
    expected: TimeSpent | None = None
    """None: the machine is unknown."""
    realtime: float | None = None
    """Seconds of audio that each process is expected to train on per second."""


class Plan(Section):
    """What a run will do, counted before any weights are loaded."""

    recipe: str
    report: str
    """Path or W&B reference of the report."""
    decision: str
    corpus: int
    """Rows of the manifests that could be read."""
    training: int
    """Rows that train."""
    training_audio: Seconds
    evaluation: list[str]
    """Ids of the rows that evaluate: of the evaluation split, of `data.validation`, or held out."""
    evaluation_of: int = 0
    """How many rows these were chosen from; 0: it is not known."""
    test: list[str] = Field(default_factory=list)
    """Ids of the rows of the test split or of `data.test`."""
    splits: PlannedSplits | None = None
    """None: the corpus has no splits."""
    hold_out: PlannedHoldOut | None = None
    """None: no row of the training split is held out."""
    own: dict[Literal["validation", "test"], OwnSet] = Field(default_factory=dict)
    """Manifests of their own to evaluate and to test on."""
    set_aside: list[str] = Field(default_factory=list)
    """Ids of the rows that neither train nor evaluate: of held-out speakers and recordings, beyond
    `data.evaluation_limit` or excluded by the audit."""
    excluded: list[str]
    """Ids of the rows that the audit excluded and that do not train."""
    weighted: list[str]
    """Ids of the rows that the audit excluded and that train with `excluded_weight`."""
    excluded_weight: float
    refused: list[Refused]
    family: str = "qwen3-asr"
    """Of the model."""
    model: str
    parameters: int
    """Size of the whole model."""
    tokens: int
    """Size of the tokenizer's vocabulary."""
    embeddings: Literal["tied", "untied"] | None
    """Whether output head and word embeddings are one matrix; None: the model has no such pair."""
    phases: list[PlannedPhase]
    steps: int
    device: str
    arithmetic: Literal["bfloat16", "float32"]
    """Weights that train are float32 in both."""
    kernels: Literal["liger", "torch"] = "torch"
    processes: int
    sharding: Literal["none", "fsdp2"]
    memory: int
    """Bytes of weights, gradients and moments for each process, in the phase that needs most;
    activations come on top."""
    slow_to_read: int = 0
    """Training rows that start late in an MP3."""
    gpu_memory: float | None = None
    """Of the smallest GPU, in GiB; None: a CPU."""
    chosen: dict[str, bool | int | float] = Field(default_factory=dict)
    """What `auto` in the recipe became, by dotted key."""
    hours: float | None
    """Expected time: of the training alone where nothing is known about the machine but
    `budget.realtime`; None: not even that."""
    cost: float | None
    """Expected cost by `budget.price`; None: not set."""
    time: PlannedTime | None = None
    """None: in records of older versions."""

    def counts(self) -> dict[str, object]:
        """The plan as plain data, with the number of rows in place of each list of rows."""
        lists = ("evaluation", "test", "set_aside", "excluded", "weighted", "refused")
        return self.model_dump(mode="json") | {name: len(getattr(self, name)) for name in lists}
