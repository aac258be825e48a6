"""`rounds.toml`: what a round is made of. `rounds.loop.begin` has one with every key.

Everything is named from the folder of this file, in which all steps run.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from asr_gate.corpus.settings_file import read_settings

Share = Annotated[float, Field(gt=0, le=1)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class DataSection(_Section):
    """What is audited and trained on."""

    manifests: Annotated[list[str], Field(min_length=1)]
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,99}$")] = "train"
    """Of the dataset, whose versions are noted under `datasets/`."""
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
        UserError: missing, not TOML, an unknown key, or a value out of range; names the line.
    """
    missing = "no such file; asr rounds init writes one to start from"
    return Loaded(path, read_settings(path, Settings, missing=missing))
