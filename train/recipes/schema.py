"""Every key of a recipe, with its default, unit and limits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from asr_gate.corpus.utterance import Seconds
from asr_gate.tracking import TrackerSettings
from asr_gate.train.recipes.data import Data
from asr_gate.train.recipes.model import AnyModel
from asr_gate.train.recipes.section import OrAuto, Section

Numbers = Literal["spoken", "as_written"]
"""How numbers and symbols are compared: as the words that are said for them, as in an audit (`7` is
`seven`), or as they are written."""


class Group(Section):
    """Parameters that train together."""

    name: str
    learning_rate: float = Field(gt=0)
    """Peak learning rate; the schedule scales it by a factor from 0 to 1."""
    parameters: list[str] = Field(min_length=1)
    """Patterns of parameter names: `*` is any text, `{2..5}` each number from 2 to 5."""


class Phase(Section):
    """Epochs in which the same parameters train; every other parameter is frozen."""

    name: str
    epochs: list[int] = Field(min_length=1)
    """Counted from 1 over the whole run."""
    groups: list[Group] = Field(min_length=1)
    gradient_checkpointing: Annotated[bool, OrAuto()] = False
    """Keep only the input of each layer and recompute the rest in the backward pass: less memory,
    more time. `auto`: if a minute of audio would not fit otherwise."""

    @model_validator(mode="after")
    def _distinct_groups(self) -> Self:
        names = [group.name for group in self.groups]
        if len(set(names)) < len(names):
            raise ValueError(f"two groups share a name: {', '.join(names)}")
        return self


class Optimizer(Section):
    """AdamW and its schedule: linear warm-up, then a cosine over the whole run."""

    step_seconds: Seconds = Field(default=720.0, gt=0)
    """Audio of a step of all processes, from which `auto` follows; learning rates belong to it. 128
    utterances of 5.6 s are 720."""
    accumulate: Annotated[int, Field(ge=1), OrAuto()] = 1
    """Batches of each process per step. `auto`: as `step_seconds` says."""
    weight_decay: float = Field(default=0.01, ge=0)
    """On matrices only; biases and norms are left alone."""
    beta1: float = Field(default=0.9, ge=0, lt=1)
    beta2: float = Field(default=0.98, ge=0, lt=1)
    warmup: float = Field(default=0.05, ge=0, lt=1)
    """Share of all steps in which the learning rates rise."""
    group_warmup: int = Field(default=200, ge=0)
    """Steps in which the learning rate of parameters rises that a phase after the first begins to
    train; at most a tenth of the phase. Other parameters keep the schedule's."""
    floor: float = Field(default=0.05, ge=0, le=1)
    """Share of the peak learning rates that is left at the end."""
    clip_norm: float = Field(default=1.0, gt=0)
    leap: float = Field(default=5.0, ge=0)
    """The run stops if the loss is this many times the median of the last 100 steps; 0: never."""


class Evaluation(Section):
    """Evaluation on the held-out rows: at the end of each epoch, and within it."""

    every_steps: int | None = Field(default=None, ge=1)
    """Also evaluate every so many steps within an epoch; None: not by steps."""
    every_hours: float | None = Field(default=200.0, gt=0)
    """Also evaluate within an epoch after about so many hours of audio, at even distances; None:
    not by hours."""
    batch_seconds: Seconds = Field(default=480.0, gt=0)
    """Padded audio in one batch. There are no gradients, so it may be more than a training batch;
    a batch of many rows takes hardly longer than one of few, as each token is a step of its own."""
    max_new_tokens: int = Field(default=448, ge=1)
    """Longest transcript that is generated."""
    tokens_per_second: float = Field(default=12.0, gt=0)
    """A transcript is also cut off here, by its row's length; never before the end of a text as
    long as the reference."""
    numbers: Numbers = "spoken"
    """Of references and transcripts, before errors are counted."""
    target_wer: float | None = Field(default=None, gt=0, le=1)
    """A WER, as a share: the run says how long it took to come down to it. It does not stop
    there."""


Gpu = Literal["A100-40GB", "A100-80GB"]
"""GPUs whose time was counted on paper; see `train.loop.expected_time`."""
GPU_MEMORY: Mapping[Gpu, float] = {"A100-40GB": 39.5, "A100-80GB": 79.2}
"""GiB that torch sees of each."""

Level = Literal["debug", "info", "warning", "error"]


class Logging(Section):
    """What is logged on the terminal and in `log.jsonl` in the run's folder."""

    console: Level = "info"
    file: Level = "debug"
    """`debug` logs every step."""
    files: int = Field(default=5, ge=2)
    """Number of files kept: `log.jsonl` and the older `log.jsonl.1`, …"""
    megabytes: float = Field(default=20.0, gt=0)
    """Size at which a new file is started."""


CheckpointType = Literal["auto", "bfloat16", "float32"]


class Checkpoints(Section):
    """Which checkpoints stay on disk, and the state for `--resume`."""

    dtype: CheckpointType = "auto"
    """Type of a checkpoint's weights; auto: bfloat16 on CUDA, where the arithmetic is, and float32
    elsewhere. The state for `--resume` is float32."""

    learned_share: float = Field(default=1.0, gt=0, le=1)
    """How far the weights of checkpoints are from those that the run began with to the trained
    ones; evaluations measure them, too. Of little speech, less than all is often better on other
    speakers (Wortsman et al. 2022, arXiv:2109.01903)."""
    keep: int | None = Field(default=2, ge=1)
    """How many of the newest checkpoints are kept beside the final model; None: all."""
    best: int = Field(default=3, ge=0)
    """How many checkpoints with the lowest WER are kept as well."""
    state_every_steps: int | None = Field(default=None, ge=1)
    """Steps between two saves of the state for `--resume`, which is also saved at each evaluation;
    None: not by steps."""
    state_every_minutes: float | None = Field(default=20.0, gt=0)
    """Minutes after which the state is saved again; None: not by time."""


class Budget(Section):
    """Expected time and cost, shown in the plan; they change nothing else."""

    gpu: Gpu | None = None
    """GPU that the time is counted for; None: the one that is here."""
    processes: int | None = Field(default=None, ge=1)
    """Processes that `--dry-run` counts with, one a GPU; None: those that are here."""
    realtime: float | None = Field(default=None, gt=0)
    """Seconds of audio that one process trains on per second, as an earlier run printed it."""
    price: float | None = Field(default=None, ge=0)
    """Price of one process (its GPU) per hour, in any currency."""


class Recipe(Section):
    """Everything that decides a run."""

    model: AnyModel
    phases: list[Phase] = Field(min_length=1)
    data: Data = Field(default_factory=Data)
    optimizer: Optimizer = Field(default_factory=Optimizer)
    evaluation: Evaluation = Field(default_factory=Evaluation)
    logging: Logging = Field(default_factory=Logging)
    checkpoints: Checkpoints = Field(default_factory=Checkpoints)
    wandb: TrackerSettings = Field(default_factory=TrackerSettings)
    budget: Budget = Field(default_factory=Budget)
    seed: int = Field(default=1, ge=0, lt=2**63)
    device: Literal["auto", "cpu", "cuda"] = "auto"
    sharding: Literal["none", "fsdp2"] = "none"
    """With several processes: each has the whole model (`none`, DDP), or a shard (`fsdp2`)."""
    threads: int | None = Field(default=None, ge=1)
    """CPU threads of torch; None: OMP_NUM_THREADS, or else one for a small model on a CPU, and for
    others what torch chooses."""

    @model_validator(mode="after")
    def _no_watch_when_sharded(self) -> Self:
        if self.sharding == "fsdp2" and (self.wandb.watch.gradients or self.wandb.watch.parameters):
            raise ValueError("wandb.watch does not work with sharding; switch one of them off")
        return self

    @model_validator(mode="after")
    def _no_compiling_when_sharded(self) -> Self:
        if self.sharding == "fsdp2" and getattr(self.model, "compile", False):
            raise ValueError("model.compile does not work with sharding; switch one of them off")
        return self

    @model_validator(mode="after")
    def _phases_follow(self) -> Self:
        titles = [phase.name for phase in self.phases]
        if len(set(titles)) < len(titles):
            raise ValueError(f"two phases share a name: {', '.join(titles)}")
        epochs = [epoch for phase in self.phases for epoch in phase.epochs]
        if epochs != list(range(1, len(epochs) + 1)):
            raise ValueError(
                "the epochs of all phases, in order, must be 1, 2, 3, …; "
                f"they are {', '.join(map(str, epochs))}"
            )
        return self

    @property
    def epochs(self) -> int:
        """Number of epochs of the whole run."""
        return sum(len(phase.epochs) for phase in self.phases)

    def phase_of(self, epoch: int) -> Phase:
        """The phase that an epoch (from 1) belongs to."""
        return next(phase for phase in self.phases if epoch in phase.epochs)
