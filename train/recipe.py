"""What a run is, as data: a YAML recipe, `key=value` overrides, and the types they must fit."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from asr_gate.corpus.errors import UserError
from asr_gate.corpus.files import write_atomically
from asr_gate.corpus.utterance import Seconds
from asr_gate.tracking import TrackerSettings
from asr_gate.tracking.redact import redact

RECIPES = Path(__file__).parent / "recipes"


class RecipeError(UserError):
    """The recipe, or an override of it, cannot be used."""


class Section(BaseModel):
    """Base of every part of a recipe: an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class TinyModel(Section):
    """A small Qwen3-ASR with random weights and a tokenizer built from the corpus."""

    audio_layers: int = Field(default=3, ge=1)
    audio_width: int = Field(default=64, ge=8, multiple_of=4)
    """Width of the audio tower; 4 attention heads."""
    text_layers: int = Field(default=4, ge=1)
    text_width: int = Field(default=128, ge=8, multiple_of=8)
    """Width of the language model; 4 attention heads."""
    vocabulary: int = Field(default=320, ge=257)
    """Most tokens that the tokenizer learns; 256 of them are the single bytes."""


class Lora(Section):
    """Low-rank adapters on linear layers; groups name their parameters `*.lora_*`."""

    rank: int = Field(default=16, ge=1)
    alpha: int = Field(default=32, ge=1)
    """The adapter's output is scaled by alpha / rank."""
    dropout: float = Field(default=0.0, ge=0, lt=1)
    """Of the adapter's input."""
    layers: list[str] = Field(min_length=1)
    """Patterns of linear layers' names, as groups have them for parameters."""


class Model(Section):
    """Where the weights come from: exactly one of `pretrained` and `tiny`."""

    pretrained: str | None = None
    """Hub id or folder of a Qwen3-ASR checkpoint, in either layout."""
    revision: str | None = None
    """Branch, tag or commit on the hub; None: the newest."""
    tiny: TinyModel | None = None
    untie_embeddings: bool
    """Give the output head a matrix of its own, a copy of the word embeddings."""
    lora: Lora | None = None
    """None: no adapters."""

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.pretrained is None) == (self.tiny is None):
            raise ValueError("name either `pretrained` or `tiny`, not both and not neither")
        return self


class Group(Section):
    """Parameters that train together."""

    name: str
    learning_rate: float = Field(gt=0)
    """Peak rate; the schedule scales it by 0 to 1."""
    parameters: list[str] = Field(min_length=1)
    """Patterns of parameter names: `*` is any text, `{2..5}` each number from 2 to 5."""


class Phase(Section):
    """Epochs in which the same parameters train; every other parameter is frozen."""

    name: str
    epochs: list[int] = Field(min_length=1)
    """Counted from 1 over the whole run."""
    groups: list[Group] = Field(min_length=1)
    gradient_checkpointing: bool = False
    """Keep the input of each layer alone and compute the rest again on the way back: less memory,
    more time."""

    @model_validator(mode="after")
    def _distinct_groups(self) -> Self:
        names = [group.name for group in self.groups]
        if len(set(names)) < len(names):
            raise ValueError(f"two groups share a name: {', '.join(names)}")
        return self


class SpecAugment(Section):
    """Bands of the features that are covered (Park et al. 2019)."""

    frequency_masks: int = Field(default=2, ge=0, le=100)
    frequency_bins: int = Field(default=27, ge=1)
    """Each covers fewer mel bins than this."""
    time_masks: int = Field(default=2, ge=0, le=100)
    time_frames: int = Field(default=40, ge=1)
    """Each covers fewer frames than this, of 10 ms …"""
    time_share: float = Field(default=0.1, gt=0, le=1)
    """… and than this share of the row."""


class Augment(Section):
    """How training rows are changed, anew in each epoch; evaluation hears them as they are."""

    speed: tuple[float, float] | None = None
    """Lowest and highest factor, drawn in steps of 0.01; pitch goes with it."""
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
    def _audible(cls, pair: tuple[float, float] | None) -> tuple[float, float] | None:
        if pair is not None and not (pair[0] >= 0.5 and pair[1] <= 2):
            raise ValueError("factors of speed lie from 0.5 to 2")
        return pair

    @field_validator("noise_db")
    @classmethod
    def _heard(cls, pair: tuple[float, float] | None) -> tuple[float, float] | None:
        if pair is not None and not (pair[0] >= -20 and pair[1] <= 100):
            raise ValueError("signal-to-noise ratios lie from -20 to 100 dB")
        return pair

    def __bool__(self) -> bool:
        """Whether anything is changed at all."""
        return any((self.speed, self.noise_db, self.spec_augment))


class Data(Section):
    """Which rows train, which evaluate, and how they are batched."""

    language: str | None = None
    """Language of the rows whose manifest names none: `English`, `he`."""
    min_seconds: Seconds = Field(default=0.1, ge=0)
    max_seconds: Seconds = Field(default=30.0, gt=0)
    """Longer rows are refused and listed, never cut."""
    max_tokens: int = Field(default=1024, ge=32)
    """Most tokens of prompt, audio and transcript together; longer rows are refused and listed."""
    evaluation_share: float = Field(default=0.05, gt=0, lt=1)
    """Share of the rows held out, chosen by a hash of their ids."""
    evaluation_limit: int = Field(default=500, ge=1)
    """Most rows held out."""
    condemned_weight: float = Field(default=0.0, ge=0, le=1)
    """What a token counts, beside 1, of a row that the audit condemned; 0: such rows are left out.
    They are never held out."""
    batch_seconds: Seconds = Field(default=60.0, gt=0)
    """Padded audio in one batch: its longest row times its number of rows."""
    workers: int = Field(default=0, ge=0)
    """Processes that decode audio and compute features; 0: the training process itself."""
    cache_gib: float = Field(default=1.0, ge=0)
    """Memory that each such process may fill with features, in GiB."""
    audio_cache_gib: float = Field(default=8.0, ge=0)
    """Disk that outputs of frozen audio towers may fill, of all runs together, in GiB; 0: none."""
    augment: Augment = Field(default_factory=Augment)


class Optimizer(Section):
    """AdamW and its schedule: linear warm-up, then a cosine over the whole run."""

    accumulate: int = Field(default=1, ge=1)
    """Batches a step."""
    weight_decay: float = Field(default=0.01, ge=0)
    """On matrices only; biases and norms are left alone."""
    beta1: float = Field(default=0.9, ge=0, lt=1)
    beta2: float = Field(default=0.98, ge=0, lt=1)
    warmup: float = Field(default=0.05, ge=0, lt=1)
    """Share of all steps over which the rates rise."""
    floor: float = Field(default=0.05, ge=0, le=1)
    """Share of the peak rates that is left at the end."""
    clip_norm: float = Field(default=1.0, gt=0)
    leap: float = Field(default=5.0, ge=0)
    """Factor over the median of the last 100 steps' losses at which the run stops; 0: never."""


class Evaluation(Section):
    """Each epoch ends with it."""

    every_steps: int | None = Field(default=500, ge=1)
    """Within an epoch too, after so many steps; None: not."""
    max_new_tokens: int = Field(default=448, ge=1)
    """Longest transcript that is generated."""


Level = Literal["debug", "info", "warning", "error"]


class Logging(Section):
    """What is told on the terminal, and in `log.jsonl` of the run's folder."""

    console: Level = "info"
    file: Level = "debug"
    """At `debug`, every step."""
    files: int = Field(default=5, ge=2)
    """Most files kept: `log.jsonl` and the older `log.jsonl.1`, …"""
    megabytes: float = Field(default=20.0, gt=0)
    """Size at which a new one is begun."""


class Checkpoints(Section):
    """What is left on disk."""

    keep: int | None = Field(default=2, ge=1)
    """Newest checkpoints kept beside the final model; None: all."""
    best: int = Field(default=3, ge=0)
    """Checkpoints of the lowest WER kept beside these."""
    state_every_steps: int = Field(default=500, ge=1)
    """How often it is written where the run stands, for `--resume`; at each evaluation too."""


class Budget(Section):
    """What a run is expected to take; shown in the plan, and nothing else."""

    realtime: float | None = Field(default=None, gt=0)
    """Audio seconds a second that one process trains, as an earlier run printed it."""
    price: float | None = Field(default=None, ge=0)
    """Of one process' hour (its GPU), in any currency."""


class Recipe(Section):
    """One run."""

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
    """Of several processes: each holds everything (DDP), or a share of it (FSDP2)."""
    threads: int | None = Field(default=None, ge=1)
    """Processor threads of torch; None: as many as torch chooses."""

    @model_validator(mode="after")
    def _watched_whole(self) -> Self:
        if self.sharding == "fsdp2" and (self.wandb.watch.gradients or self.wandb.watch.parameters):
            raise ValueError("wandb.watch sees nothing of a sharded model; switch one of them off")
        return self

    @model_validator(mode="after")
    def _phases_follow(self) -> Self:
        titles = [phase.name for phase in self.phases]
        if len(set(titles)) < len(titles):
            raise ValueError(f"two phases share a name: {', '.join(titles)}")
        epochs = [epoch for phase in self.phases for epoch in phase.epochs]
        if epochs != list(range(1, len(epochs) + 1)):
            raise ValueError(
                "the epochs of the phases, read in order, must count 1, 2, 3, …; "
                f"they read {', '.join(map(str, epochs))}"
            )
        return self

    @property
    def epochs(self) -> int:
        """Epochs of the whole run."""
        return sum(len(phase.epochs) for phase in self.phases)

    def phase_of(self, epoch: int) -> Phase:
        """The phase that an epoch (from 1) belongs to."""
        return next(phase for phase in self.phases if epoch in phase.epochs)


def names() -> list[str]:
    """The recipes that come with the project."""
    return sorted(path.stem for path in RECIPES.glob("*.yaml"))


def load(recipe: str, overrides: Sequence[str] = ()) -> tuple[str, Recipe]:
    """Read a recipe by name or from a YAML file, and apply `key.sub=value` overrides.

    Returns:
        The recipe's short name (the file's stem) and the recipe.

    Raises:
        RecipeError: no such recipe, not YAML, an unknown key, or a value that does not fit.
    """
    path = Path(recipe) if recipe.endswith((".yaml", ".yml")) else RECIPES / f"{recipe}.yaml"
    if not path.is_file():
        near = difflib.get_close_matches(recipe, names(), n=1)
        meant = f"did you mean {near[0]}? " if near else ""
        raise RecipeError(
            f"{recipe}: no such recipe; {meant}there are {', '.join(names())}, or name a YAML file"
        )
    # The first pass fills in the defaults, so that an override may name any key of the schema.
    complete = _validate(_read(path), recipe).model_dump()
    for override in overrides:
        _override(complete, override)
    return path.stem, _validate(complete, recipe)


def write(path: Path, recipe: Recipe) -> None:
    """Write a recipe, with its overrides and defaults, as one that `load` reads.

    Raises:
        UserError: the disk is full or not writable.
    """
    import yaml

    plain = redact(recipe.model_dump(mode="json"))
    content = yaml.safe_dump(plain, sort_keys=False, allow_unicode=True)
    try:
        write_atomically(path, content.encode())
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror})") from error


def overridden(overrides: Sequence[str], section: str) -> set[str]:
    """The keys of a section that overrides name: `wandb.tags=[a]` names `tags`."""
    keys = (override.partition("=")[0].split(".") for override in overrides)
    return {parts[1] for parts in keys if parts[0] == section and len(parts) > 1}


def origins(recipe: str, overrides: Sequence[str] = ()) -> dict[str, tuple[Any, str]]:
    """Every value of a recipe by its dotted key, and where it comes from.

    Errors as in `load`.
    """
    name, loaded = load(recipe, overrides)
    path = Path(recipe) if recipe.endswith((".yaml", ".yml")) else RECIPES / f"{recipe}.yaml"
    written = dict(_values(_read(path)))
    given = {override.partition("=")[0] for override in overrides}

    def origin(key: str) -> str:
        # A list is one value, and an override may name a part of it.
        if any(f"{key}.".startswith(f"{one}.") or one.startswith(f"{key}.") for one in given):
            return "command line"
        inside = any(one == key or one.startswith(f"{key}.") for one in written)
        return f"recipe {name}" if inside else "default"

    return {key: (value, origin(key)) for key, value in _values(loaded.model_dump(mode="json"))}


def _values(content: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every value with its dotted key; a list is one value."""
    if not isinstance(content, dict) or not content:
        yield prefix, content
        return
    for name, value in content.items():
        yield from _values(value, f"{prefix}.{name}" if prefix else str(name))


def _read(path: Path) -> Any:
    import yaml
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    try:
        content = OmegaConf.to_container(OmegaConf.load(path), resolve=False)
    except (yaml.YAMLError, OmegaConfBaseException, OSError, UnicodeDecodeError) as error:
        raise RecipeError(f"{path}: not a recipe: {' '.join(str(error).split())}") from error
    except RecursionError as error:
        raise RecipeError(f"{path}: not a recipe: nested too deeply") from error
    _refuse_interpolation(content, str(path))
    return content


def _refuse_interpolation(content: Any, where: str) -> None:
    """A recipe may come from anybody, and `${oc.env:…}` would put secrets into runs and files."""
    if isinstance(content, str) and "${" in content:
        raise RecipeError(f"{where}: {content!r}: recipes are plain values; write it out")
    parts = content.values() if isinstance(content, dict) else content
    if isinstance(parts, str) or not isinstance(parts, Iterable):
        return
    for part in parts:
        _refuse_interpolation(part, where)


def _validate(content: Any, origin: str) -> Recipe:
    try:
        return Recipe.model_validate(content)
    except ValidationError as error:
        faults = (
            ": ".join(
                part
                for part in (
                    ".".join(map(str, fault["loc"])),
                    fault["msg"].removeprefix("Value error, "),
                )
                if part
            )
            for fault in error.errors()
        )
        raise RecipeError(f"{origin}: {'; '.join(faults)}") from error


def _override(content: dict[str, Any], override: str) -> None:
    """Set one `key.sub=value` in place; the key must exist."""
    import yaml
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    key, equals, text = override.partition("=")
    if not equals:
        raise RecipeError(f"{override}: an override reads key=value, e.g. seed=7")
    node: Any = {"": content}
    last: str | int = ""
    for part in key.split("."):
        node = node[last]
        if isinstance(node, list) and part.isdecimal() and int(part) < len(node):
            last = int(part)
        elif isinstance(node, dict) and part in node:
            last = part
        else:
            near = difflib.get_close_matches(key, list(_keys(content)), n=1, cutoff=0.0)
            raise RecipeError(f"{key}: the recipe has no such key; the nearest is {near[0]}")
    try:
        value = OmegaConf.to_container(OmegaConf.from_dotlist([f"value={text}"]), resolve=False)
    except (yaml.YAMLError, OmegaConfBaseException) as error:
        raise RecipeError(f"{override}: not a value: {' '.join(str(error).split())}") from error
    except RecursionError as error:
        raise RecipeError(f"{key}: not a value: nested too deeply") from error
    _refuse_interpolation(value, key)
    assert isinstance(value, dict)
    node[last] = value["value"]


def _keys(content: Any, prefix: str = "") -> Iterator[str]:
    """Every dotted key of a recipe, sections and values alike."""
    if isinstance(content, dict):
        items = list(content.items())
    elif isinstance(content, list):
        items = list(enumerate(content))
    else:
        return
    for name, value in items:
        yield f"{prefix}{name}"
        yield from _keys(value, f"{prefix}{name}.")
