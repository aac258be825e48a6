"""A suite: what a model is tested on, and what is asked of it; one TOML file.

[data]
manifests = ["test.jsonl"]      # paths start from the folder of the suite

[gain]
wer = 0.05                      # the WER must be lower by 5 % of the other model's

[limits]
wer = 0.2

[domains.phone]
wer = 0.3

[[regression]]
name = "names"
manifests = ["regression/names.jsonl"]
wer = 0.1
"""

from __future__ import annotations

import difflib
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from asr_gate.corpus.errors import UserError
from asr_gate.corpus.storage import is_url
from asr_gate.corpus.strict import read_toml
from asr_gate.train.recipes import Numbers

Rate = Annotated[float, Field(ge=0, le=10)]
"""An error rate; 0.1 is 10 %."""
Share = Annotated[float, Field(ge=0, le=1)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class TestSet(_Section):
    """Rows to test on."""

    __test__ = False  # no test of pytest

    manifests: Annotated[list[str], Field(min_length=1)]
    """Paths start from the folder of the suite."""
    split: str | None = None
    language: str | None = None
    """Of the rows whose manifest names none."""
    audio_root: str | None = None
    """One more folder that audio may lie in; starts from the folder of the suite."""
    fingerprint: Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")] | None = None
    """What the rows must be; None: what they are."""


class RegressionSet(TestSet):
    """Rows that a model must get right, or nearly so."""

    name: Annotated[str, Field(min_length=1, max_length=100)]
    wer: Rate = 0.0
    """Highest WER."""


class Gain(_Section):
    """How much better than the other model it must be."""

    wer: Annotated[float, Field(ge=0, lt=1)] = 0.05
    """Share of the other model's WER, which the whole interval of the gain must reach."""


class DomainLimits(_Section):
    """The highest error rates in one domain; None: any."""

    wer: Rate | None = None
    cer: Rate | None = None


class Limits(DomainLimits):
    """The highest error rates overall, and how often the model may fail to write."""

    unfinished: Share = 0.01
    """Transcripts that were cut off, because the model did not end them."""
    empty: Share = 0.01
    """Transcripts without a word."""


class Suite(_Section):
    """A whole suite."""

    data: TestSet
    gain: Gain = Gain()
    limits: Limits = Limits()
    domains: dict[str, DomainLimits] = Field(default_factory=dict)
    regression: list[RegressionSet] = Field(default_factory=list)
    confidence: Annotated[float, Field(ge=0.5, le=0.9999)] = 0.95
    """Of the intervals."""
    seed: Annotated[int, Field(ge=0)] = 1
    """Decides the resamples."""
    numbers: Numbers = "spoken"
    """How numbers are compared."""

    @model_validator(mode="after")
    def _names_are_unique(self) -> Suite:
        names = [one.name for one in self.regression]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise ValueError(f"two regression sets are named {twice!r}")
        return self


@dataclass(frozen=True)
class LoadedSuite:
    """A suite and where it is."""

    path: Path
    content: Suite

    @property
    def digest(self) -> str:
        """`sha256:…` of what the suite says; comments and order do not matter."""
        content = json.dumps(self.content.model_dump(mode="json"), sort_keys=True)
        return "sha256:" + hashlib.sha256(content.encode()).hexdigest()

    def manifests(self, data: TestSet) -> list[str]:
        """Manifests of a set of the suite, as they are named from the current folder."""
        folder = self.path.parent
        return [
            name if name.startswith("hf:") or is_url(name) else str(folder / name)
            for name in data.manifests
        ]

    def audio_root(self, data: TestSet) -> Path | None:
        """The folder that audio of a set may lie in, from the current folder."""
        return None if data.audio_root is None else self.path.parent / data.audio_root


def load_suite(path: Path) -> LoadedSuite:
    """Read a suite.

    Raises:
        UserError: missing, not TOML, an unknown key, or a value out of range.
    """
    try:
        content = read_toml(path)
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such suite; docs/rounds.md shows one to start from") from error
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise UserError(f"{path}: not TOML ({error})") from error
    try:
        return LoadedSuite(path, Suite.model_validate(content))
    except ValidationError as error:
        raise UserError(f"{path}: {_told(error)}") from error


def _told(error: ValidationError) -> str:
    # A key that there is not explains another one that is missing.
    first: Any = min(error.errors(), key=lambda one: one["type"] != "extra_forbidden")
    where = ".".join(map(str, first["loc"]))
    what = str(first["msg"]).removeprefix("Value error, ")
    if first["type"] == "extra_forbidden":
        models = (Suite, TestSet, RegressionSet, Gain, Limits)
        known = {name for model in models for name in model.model_fields}
        near = difflib.get_close_matches(str(first["loc"][-1]), known, n=1)
        what = "no such key" + (f"; did you mean {near[0]}?" if near else "")
    return f"{where}: {what}" if where else what
