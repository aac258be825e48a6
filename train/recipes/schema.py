"""Every key of a recipe, with its default, unit and limits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    ValidatorFunctionWrapHandler,
    field_validator,
    model_validator,
)
from pydantic_core import CoreSchema, core_schema

from asr_gate.corpus.errors import UserError
from asr_gate.corpus.utterance import Seconds
from asr_gate.tracking import TrackerSettings

Numbers = Literal["spoken", "as_written"]
"""How numbers and symbols are compared: as the words that are said for them, as in an audit (`7` is
`seven`), or as they are written."""


HoldOutBy = Literal["auto", "speaker", "recording", "row"]
"""What is held out as a whole; `auto`: the first of these that there are enough of."""
AUTO = "auto"


class OrAuto:
    """Marks a value that may also be `auto` in a recipe: `machine.resolve_for_machine` chooses it.

    Code reads recipes in which it has done so; so the value has its plain type.
    """

    def __get_pydantic_core_schema__(
        self, source: type[Any], handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        def validate(value: object, plain: ValidatorFunctionWrapHandler) -> object:
            return value if value == AUTO else plain(value)

        return core_schema.no_info_wrap_validator_function(
            validate,
            handler(source),
            serialization=core_schema.plain_serializer_function_ser_schema(lambda value: value),
        )


class RecipeError(UserError):
    """A recipe or an override is not valid."""


class Section(BaseModel):
    """Base of every section of a recipe: an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class TinyModel(Section):
    """A small Qwen3-ASR with random weights and a tokenizer learnt from the corpus."""

    audio_layers: int = Field(default=3, ge=1)
    audio_width: int = Field(default=64, ge=8, multiple_of=4)
    """Width of the audio tower; 4 attention heads."""
    text_layers: int = Field(default=4, ge=1)
    text_width: int = Field(default=128, ge=8, multiple_of=8)
    """Width of the language model; 4 attention heads."""
    vocabulary: int = Field(default=320, ge=257)
    """Largest vocabulary of the tokenizer; 256 of its tokens are the single bytes."""


class Lora(Section):
    """Low-rank adapters on linear layers; groups name their parameters `*.lora_*`."""

    rank: int = Field(default=16, ge=1)
    alpha: int = Field(default=32, ge=1)
    """The adapter's output is scaled by alpha / rank."""
    dropout: float = Field(default=0.0, ge=0, lt=1)
    """Dropout on the adapter's input."""
    layers: list[str] = Field(min_length=1)
    """Patterns of the names of linear layers, written like those of parameters in a group."""


Attention = Literal["sdpa", "eager", "flash_attention_2"]
"""torch's own kernels, plain matrix products, or the package flash-attn."""


Kernels = Literal["auto", "liger", "torch"]
"""liger-kernel's fused kernels, or torch's own; `auto`: the former on CUDA, if installed."""


class Model(Section):
    """Where the weights come from: exactly one of `pretrained` and `tiny`."""

    pretrained: str | None = None
    """Hub id or folder of a Qwen3-ASR checkpoint, in either layout."""
    revision: str | None = None
    """Branch, tag or commit on the hub; None: the newest."""
    tiny: TinyModel | None = None
    untie_embeddings: bool
    """Give the output head its own matrix, a copy of the word embeddings."""
    lora: Lora | None = None
    """None: no adapters."""
    attention: Attention = "sdpa"
    """How attention is computed; the result is the same but for the last digits."""
    kernels: Kernels = "auto"
    """What computes norms, MLPs and the loss of the language model."""
    compile: bool = False
    """Compile the language model's layers: a minute or more at first, less time for each step."""

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.pretrained is None) == (self.tiny is None):
            raise ValueError("set exactly one of `pretrained` and `tiny`")
        return self


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


class SpecAugment(Section):
    """SpecAugment: bands of the features are masked (Park et al. 2019)."""

    frequency_masks: int = Field(default=2, ge=0, le=100)
    frequency_bins: int = Field(default=27, ge=1)
    """Each mask covers fewer mel bins than this."""
    time_masks: int = Field(default=2, ge=0, le=100)
    time_frames: int = Field(default=40, ge=1)
    """Each mask covers fewer frames (of 10 ms) than this …"""
    time_share: float = Field(default=0.1, gt=0, le=1)
    """… and at most this share of the row."""


class Augment(Section):
    """Random changes of training rows, drawn anew in each epoch; never used in evaluation."""

    speed: tuple[float, float] | None = None
    """Lowest and highest speed factor, drawn in steps of 0.01; the pitch changes with it."""
    noise_db: tuple[float, float] | None = None
    """Lowest and highest signal-to-noise ratio of added white noise, in dB."""
    spec_augment: SpecAugment | None = None

    @field_validator("speed", "noise_db")
    @classmethod
    def _ordered(cls, pair: tuple[float, float] | None) -> tuple[float, float] | None:
        if pair is not None and pair[0] > pair[1]:
            raise ValueError(f"{pair[0]:g} is above {pair[1]:g}; write the lower one first")
        return pair

    @field_validator("speed")
    @classmethod
    def _speed_in_range(cls, pair: tuple[float, float] | None) -> tuple[float, float] | None:
        if pair is not None and not (pair[0] >= 0.5 and pair[1] <= 2):
            raise ValueError("speed factors must be from 0.5 to 2")
        return pair

    @field_validator("noise_db")
    @classmethod
    def _noise_in_range(cls, pair: tuple[float, float] | None) -> tuple[float, float] | None:
        if pair is not None and not (pair[0] >= -20 and pair[1] <= 100):
            raise ValueError("signal-to-noise ratios must be from -20 to 100 dB")
        return pair

    @property
    def slowest(self) -> float:
        """The lowest speed factor, at most 1: by it rows grow longer than they are planned."""
        return min(1.0, self.speed[0]) if self.speed else 1.0

    def __bool__(self) -> bool:
        """Whether anything is changed at all."""
        return any((self.speed, self.noise_db, self.spec_augment))


class Data(Section):
    """Which rows train, which evaluate, and how they are batched."""

    language: str | None = None
    """Language of the rows whose manifest names none: `English`, `he`."""
    learn_language: bool = False
    """Put loss on the language tag (`language Hebrew<asr_text>`), too: the model then recognises
    the language where none is given."""
    split: str | None = None
    """Split to train on; None: `train`, if the corpus has splits."""
    evaluation_split: str | None = None
    """Split to evaluate on; None: `dev` or `validation`, or else rows that are held out."""
    test_split: str | None = None
    """Split to test the final model on; None: `test`, if there is one."""
    validation: list[str] = Field(default_factory=list)
    """Manifests whose rows evaluate, in place of a split or of held-out rows; they need no
    audit."""
    test: list[str] = Field(default_factory=list)
    """Manifests whose rows test the final model, in place of a split."""
    min_seconds: Seconds = Field(default=0.1, ge=0)
    max_seconds: Seconds = Field(default=30.0, gt=0)
    """Longer rows are refused and listed, never cut."""
    max_tokens: int = Field(default=1024, ge=32)
    """Most tokens of prompt, audio and transcript together; rows with more are refused."""
    evaluation_share: float = Field(default=0.05, gt=0, lt=1)
    """Share of the rows held out where there is nothing else to evaluate on."""
    hold_out_by: HoldOutBy = "auto"
    """Held out are whole speakers, whole recordings or single rows, by a hash of their names."""
    evaluation_limit: int = Field(default=500, ge=1)
    """Largest number of rows to evaluate on; each domain has its share, by a hash of the ids."""
    excluded_weight: float = Field(default=0.0, ge=0, le=1)
    """Weight in the loss of the rows that the audit excluded; other rows have 1. 0: they do not
    train. They are never held out."""
    batch_seconds: Annotated[Seconds, Field(gt=0), OrAuto()] = 60.0
    """Padded audio in one batch: its longest row times its number of rows. `auto`: what fits, and
    divides `optimizer.step_seconds`."""
    batch_tokens: Annotated[int, Field(ge=1), OrAuto()] = 4096
    """Padded tokens in one batch, of prompt, audio and transcript: the row with most tokens times
    the number of rows. It bounds batches of many short rows. `auto`: what fits."""
    workers: int = Field(default=0, ge=0)
    """Processes that decode audio and compute features; 0: the training process does it."""
    cache_gib: Annotated[float, Field(ge=0), OrAuto()] = 1.0
    """Memory for computed features, in GiB, for each such process. `auto`: 0 on a GPU."""
    audio_cache_gib: Annotated[float, Field(ge=0), OrAuto()] = 8.0
    """Disk space for outputs of frozen audio towers, in GiB, for all runs together; 0: no cache.
    `auto`: 0 on a GPU."""
    augment: Augment = Field(default_factory=Augment)

    @model_validator(mode="after")
    def _one_set_each(self) -> Self:
        if self.validation and self.evaluation_split:
            raise ValueError("set one of `validation` and `evaluation_split`, not both")
        if self.test and self.test_split:
            raise ValueError("set one of `test` and `test_split`, not both")
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

    model: Model
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
        if self.sharding == "fsdp2" and self.model.compile:
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
