"""A step of a round, and what all steps are given."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from asr_gate.corpus.fingerprint import fingerprint
from asr_gate.corpus.labels import LabelRule
from asr_gate.corpus.read import read_corpus
from asr_gate.corpus.utterance import Corpus
from asr_gate.rounds.loop.settings import Loaded, Settings
from asr_gate.rounds.loop.state import Round, Step, StepName
from asr_gate.rounds.model_gate.suite import LoadedSuite, TestSet, load_suite
from asr_gate.train import recipes


@dataclass(frozen=True)
class Context:
    """What all steps are given."""

    loaded: Loaded
    labels: Sequence[LabelRule]
    """Rules of `asr.toml` that give rows domains and splits."""
    language: str | None
    """Of rows that name none, by `asr.toml`."""
    tracking: Mapping[str, Any]
    """Of `asr.toml`: whether and where versions of the data are logged to W&B."""
    rounds: Sequence[Round]
    """All that there are, the oldest first."""

    @property
    def settings(self) -> Settings:
        """What `rounds.toml` says."""
        return self.loaded.content

    def suite(self) -> LoadedSuite:
        """The gate for models."""
        return load_suite(Path(self.settings.suite))

    def rows_of(self, one: TestSet, suite: LoadedSuite) -> str:
        """Fingerprint of a test set of the suite."""
        return fingerprint(self._test_set(one, suite)).digest

    def check(self) -> None:
        """Read what later steps need, so that a wrong name costs no training.

        Raises:
            UserError: the suite, a manifest of its, or the recipe cannot be read.
        """
        suite = self.suite()
        for one in (suite.content.data, *suite.content.regression):
            self._test_set(one, suite)
        train = self.settings.train
        recipes.load(train.recipe, train.overrides)

    def _test_set(self, one: TestSet, suite: LoadedSuite) -> Corpus:
        return read_corpus(
            suite.manifests(one),
            audio_root=suite.audio_root(one),
            split=one.split,
            labels=self.labels,
        )

    def corpus(self) -> Corpus:
        """What is audited and trained on."""
        data = self.settings.data
        root = None if data.audio_root is None else Path(data.audio_root)
        return read_corpus(data.manifests, audio_root=root, split=data.split, labels=self.labels)

    def data_options(self) -> list[str]:
        """How the data is read."""
        data = self.settings.data
        return options({"--audio-root": data.audio_root, "--split": data.split})


@dataclass(frozen=True)
class Came:
    """What came of a step."""

    says: str
    outputs: Sequence[Path] = ()
    facts: dict[str, Any] | None = None


class Kind(ABC):
    """A kind of step."""

    name: ClassVar[StepName]

    @abstractmethod
    def inputs(self, context: Context, round: Round) -> dict[str, Any]:
        """All that decides its result."""

    def begin(
        self, context: Context, round: Round, known: Step | None, digest: str
    ) -> dict[str, Any]:
        """Choose where it writes, or where it goes on.

        Args:
            context: of all steps.
            round: so far.
            known: what an earlier start of this step noted; None: there was none.
            digest: of its inputs.

        Returns:
            Facts to note before it starts; with `resume` where it goes on.
        """
        return {}

    @abstractmethod
    def command(self, context: Context, round: Round, facts: dict[str, Any]) -> list[str]:
        """The words after `asr`."""

    @abstractmethod
    def came(self, context: Context, round: Round, facts: dict[str, Any]) -> Came | None:
        """What came of it, for exit code 0 or that of a refusal; None: it did not get to an end."""


def options(values: dict[str, Any]) -> list[str]:
    """Each that has a value, as one word: no value is taken for an option."""
    return [f"{name}={value}" for name, value in values.items() if value is not None]
