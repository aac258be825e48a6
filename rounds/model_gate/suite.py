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

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, model_validator

from asr_gate.corpus.digests import digest_of
from asr_gate.corpus.settings_file import read_settings
from asr_gate.corpus.storage import is_url
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
        return f"sha256:{digest_of(self.content.model_dump(mode='json'))}"

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
        UserError: missing, not TOML, an unknown key, or a value out of range; names the line.
    """
    missing = "no such suite; asr rounds init writes one to start from"
    return LoadedSuite(path, read_settings(path, Suite, missing=missing))
