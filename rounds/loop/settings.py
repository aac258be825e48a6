"""`rounds.toml`: what a round is made of.

    suite = "suite.toml"             # the gate for models
    baseline = "embedded"            # what the first model is compared with
    accept_caution = true

    [data]
    manifests = ["corpus/train.jsonl"]

    [audit]
    aligner = "mms"
    language = "he"

    [train]
    recipe = "round2"
    overrides = ["optimizer.accumulate=4"]

    [sweep]
    every_cases = 1000

Everything is named from the folder of this file, in which all steps run.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from asr_gate.corpus.errors import UserError
from asr_gate.corpus.strict import read_toml

Share = Annotated[float, Field(gt=0, le=1)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class DataSection(_Section):
    """What is audited and trained on."""

    manifests: Annotated[list[str], Field(min_length=1)]
    audio_root: str | None = None
    split: str | None = None


class AuditSection(_Section):
    """Options of `asr audit`; None: its default."""

    aligner: str | None = None
    language: str | None = None
    policy: str | None = None
    fraction: Share | None = None
    controls: Annotated[int, Field(ge=0)] | None = None


class TrainSection(_Section):
    """What `asr train` is given."""

    recipe: str
    overrides: list[str] = Field(default_factory=list)


class SweepSection(_Section):
    """A small sweep, when there are many new cases."""

    every_cases: Annotated[int, Field(ge=1)] = 1000
    """New cases since the last sweep."""
    trials: Annotated[int, Field(ge=1)] = 5
    preset: Literal["minimal", "finetuning"] = "minimal"
    below: Share = 0.95
    """The winner is taken if its WER is below this share of the recipe's, on rows that no trial
    saw."""


class Settings(_Section):
    """A whole `rounds.toml`."""

    suite: str
    baseline: str
    """Checkpoint that the first model is compared with; later it is the model in use."""
    accept_caution: bool = False
    cases: str = "cases.sqlite3"
    """File of the cases; what a model gets wrong is added to it."""
    data: DataSection
    audit: AuditSection = Field(default_factory=AuditSection)
    train: TrainSection
    sweep: SweepSection | None = None
    """None: no sweeps."""


@dataclass(frozen=True)
class Loaded:
    """The settings and where they are."""

    path: Path
    content: Settings

    @property
    def home(self) -> Path:
        """The folder in which all steps run."""
        return self.path.parent


def load_settings(path: Path) -> Loaded:
    """Read a `rounds.toml`.

    Raises:
        UserError: missing, not TOML, an unknown key, or a value out of range.
    """
    try:
        content = read_toml(path)
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file; docs/rounds.md shows one to start from") from error
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise UserError(f"{path}: not TOML ({error})") from error
    try:
        return Loaded(path, Settings.model_validate(content))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise UserError(
            f"{path}: {where}: {first['msg']}; docs/rounds.md shows every key"
        ) from error


def digest_of(content: Any) -> str:
    """`sha256:…` of anything that JSON can hold."""
    text = json.dumps(content, sort_keys=True, default=str)
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()
