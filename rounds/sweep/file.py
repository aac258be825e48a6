"""The file that describes a sweep, in W&B's own format, so that both backends take the same file.

    program: ctc-embedded                    # the recipe to start from
    command: [asr, train, "${program}", --data, train.jsonl, "${args}"]
    method: random                           # or bayes, or grid
    metric: {name: eval/wer, goal: minimize}
    run_cap: 20                              # trials
    parameters:
      learning_rate: {distribution: log_uniform_values, min: 0.1, max: 10.0}
      epochs: {values: [4, 8, 12]}
    early_terminate: {type: hyperband, min_iter: 2}
    controller: {type: cloud, hours: 8.0}    # W&B allows keys of others here

The keys are those of https://docs.wandb.ai/models/sweeps/sweep-config-keys.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from asr_gate.corpus.errors import UserError
from asr_gate.corpus.strict import read_yaml_text

Method = Literal["random", "bayes", "grid"]
Distribution = Literal["constant", "categorical", "uniform", "log_uniform_values", "int_uniform"]
COMMAND = ("asr", "train", "${program}", "${args}")


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, strict=True)


class Parameter(_Section):
    """The values that one key of the recipe may have."""

    distribution: Distribution | None = None
    """None: as the other keys say."""
    value: Any = None
    values: list[Any] | None = Field(default=None, min_length=1)
    min: int | float | None = None
    max: int | float | None = None

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        given = {name for name in self.model_fields_set if name != "distribution"}
        kinds: Mapping[frozenset[str], tuple[Distribution, ...]] = {
            frozenset({"value"}): ("constant",),
            frozenset({"values"}): ("categorical",),
            frozenset({"min", "max"}): ("uniform", "log_uniform_values", "int_uniform"),
        }
        fitting = kinds.get(frozenset(given))
        if fitting is None:
            raise ValueError("needs value, or values, or min and max")
        if self.distribution not in (None, *fitting):
            needed = next(sorted(keys) for keys, some in kinds.items() if self.distribution in some)
            raise ValueError(f"{self.distribution} needs {' and '.join(needed)}")
        if self.min is not None and self.max is not None:
            self._check_bounds(self.min, self.max)
        return self

    def _check_bounds(self, low: float, high: float) -> None:
        if low >= high:
            raise ValueError(f"min {low:g} is not below max {high:g}")
        whole = isinstance(low, int) and isinstance(high, int)
        if self.distribution is None and isinstance(low, int) != isinstance(high, int):
            raise ValueError("write both min and max with a decimal point, or both without")
        if self.distribution == "int_uniform" and not whole:
            raise ValueError("int_uniform needs whole numbers")
        if self.distribution == "log_uniform_values" and low <= 0:
            raise ValueError("log_uniform_values needs a min above 0")

    @property
    def kind(self) -> Distribution:
        """The distribution, with W&B's rule for those that name none."""
        if self.distribution is not None:
            return self.distribution
        if self.min is None:
            return "constant" if self.values is None else "categorical"
        return "int_uniform" if isinstance(self.min, int) else "uniform"

    def extremes(self) -> list[Any]:
        """Values to check: all there are, or the lowest and the highest."""
        if self.kind == "constant":
            return [self.value]
        return [self.min, self.max] if self.values is None else self.values


class Metric(_Section):
    """What is to become small."""

    name: Literal["eval/wer", "eval/cer", "eval/loss"] = "eval/wer"
    """Of the last evaluation of a trial, as it is tracked."""
    goal: Literal["minimize"] = "minimize"


class EarlyTerminate(_Section):
    """Trials that are worse than others after the same number of evaluations end early."""

    type: Literal["hyperband"]
    min_iter: int | None = Field(default=None, ge=1)
    """Evaluations before the first decision; decisions follow at `eta` times as many, and so on."""
    max_iter: int | None = Field(default=None, ge=1)
    """Or: evaluations before the last decision …"""
    s: int | None = Field(default=None, ge=1)
    """… of so many."""
    eta: int = Field(default=3, ge=2)
    """One of so many trials goes on after each decision."""

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        if (self.min_iter is None) == (self.max_iter is None or self.s is None):
            raise ValueError("needs min_iter, or max_iter and s")
        return self


class Controller(_Section):
    """W&B's key `type`, and what W&B has no key for; its schema leaves other keys here alone."""

    type: Literal["cloud", "local"] = "cloud"
    """W&B's; the local backend does not read it."""
    hours: float | None = Field(default=None, gt=0)
    """No trial starts after the trials have taken so many hours together; None: no limit."""
    confirm: int = Field(default=1, ge=1, le=10)
    """So many of the best trials are compared with the recipe on the rows that no trial saw."""
    seed: int = Field(default=1, ge=0, lt=2**31)
    """Decides which values are tried."""


class SweepFile(_Section):
    """A whole file."""

    program: str
    """The recipe to start from: a name, or a YAML file."""
    method: Method
    parameters: dict[str, Parameter] = Field(min_length=1)
    """By key of the recipe, dotted, or by one of `train.recipes.scalars`."""
    name: str | None = None
    description: str | None = None
    project: str | None = None
    """In W&B."""
    entity: str | None = None
    command: list[str] = Field(default_factory=lambda: list(COMMAND))
    """`asr train` with its options; `${args}` is where a trial's values go."""
    metric: Metric = Field(default_factory=Metric)
    run_cap: int | None = Field(default=None, ge=1)
    """Number of trials; None: 20, or the whole grid."""
    early_terminate: EarlyTerminate | None = None
    controller: Controller = Field(default_factory=Controller)

    @model_validator(mode="after")
    def _finite_grid(self) -> Self:
        for key, one in self.parameters.items():
            if self.method == "grid" and one.kind in ("uniform", "log_uniform_values"):
                raise ValueError(f"parameters.{key}: a grid needs values, or whole numbers")
        return self


@dataclass(frozen=True)
class Loaded:
    """A file, and where its keys stand in it."""

    path: Path
    content: SweepFile
    lines: Mapping[tuple[str, ...], int]
    """Line, from 1, by key within key."""

    def where(self, *keys: str) -> str:
        """`sweep.yaml:7`, of a key or of what it stands in."""
        return _where(self.path, self.lines, keys)


def load_sweep_file(path: Path) -> Loaded:
    """Read a file and check all that does not need the recipe.

    Raises:
        UserError: it cannot be read, or is not a sweep; names the line.
    """
    import yaml

    try:
        text = read_yaml_text(path)
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        content = yaml.safe_load(text)
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise UserError(f"{path}: not YAML ({' '.join(str(error).split())})") from error
    if not isinstance(content, dict):
        raise UserError(f"{path}: holds no keys; write program, method and parameters")
    lines = dict(_lines(path, node, ()))
    try:
        return Loaded(path, SweepFile.model_validate(content), lines)
    except ValidationError as error:
        raise UserError(_told(path, lines, error)) from error


def _lines(path: Path, node: Any, keys: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], int]]:
    """The line of each key; a key that stands twice is refused."""
    import yaml

    if not isinstance(node, yaml.MappingNode):
        return
    seen: set[str] = set()
    for key, value in node.value:
        name, line = str(key.value), key.start_mark.line + 1
        if name in seen:
            raise UserError(f"{path}:{line}: {name} stands twice")
        seen.add(name)
        yield (*keys, name), line
        yield from _lines(path, value, (*keys, name))


def _where(path: Path, lines: Mapping[tuple[str, ...], int], keys: tuple[str, ...]) -> str:
    for length in range(len(keys), 0, -1):
        if keys[:length] in lines:
            return f"{path}:{lines[keys[:length]]}"
    return str(path)


def _told(path: Path, lines: Mapping[tuple[str, ...], int], error: ValidationError) -> str:
    """The first fault in one line."""
    # A key that is misspelt comes before the one that is missing for it.
    fault = min(error.errors(), key=lambda one: one["type"] != "extra_forbidden")
    keys = tuple(str(part) for part in fault["loc"] if not isinstance(part, int))
    # Of a value that may be of two types pydantic names these as well.
    keys = tuple(key for key in keys if key not in ("int", "float"))
    where, key = _where(path, lines, keys), ".".join(keys)
    if fault["type"] == "extra_forbidden":
        known = _known(keys)
        near = difflib.get_close_matches(keys[-1], known, n=3, cutoff=0.5) or known
        return f"{where}: {key}: there is no such key; did you mean {' or '.join(near)}?"
    if fault["type"] == "missing":
        return f"{where}: {key} is missing"
    message = fault["msg"].removeprefix("Value error, ")
    if isinstance(fault["input"], str) and _is_number(fault["input"]):
        message = f"{fault['input']} is text to YAML; write a number with a point, as in 1.0e-5"
    return f"{where}: {key}: {message}" if key else f"{where}: {message}"


def _known(keys: tuple[str, ...]) -> list[str]:
    sections: Mapping[str, type[BaseModel]] = {
        "controller": Controller,
        "early_terminate": EarlyTerminate,
        "metric": Metric,
        "parameters": Parameter,
    }
    return list((sections[keys[0]] if len(keys) > 1 else SweepFile).model_fields)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
