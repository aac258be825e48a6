"""From a row to an example, and from examples to a batch: what is the same for every family.

Audio is decoded, checked against what was audited, and changed at random here. What an example
holds is for the family to say: see `families.interface`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from asr_gate.corpus.audited import AlteredAudio, AuditedAudio
from asr_gate.corpus.speech.audio import AudioError, load_samples
from asr_gate.corpus.utterance import Seconds
from asr_gate.train import recipes
from asr_gate.train.data.augmentation import Augmentation
from asr_gate.train.data.rows import Row, check_length, check_tokens
from asr_gate.train.plan import ALTERED, Refused


@dataclass(frozen=True, slots=True)
class Example(ABC):
    """One row, ready for a batch; a family adds its tensors."""

    row: Row

    @property
    @abstractmethod
    def tokens(self) -> int:
        """As `Encoder.count_tokens` counts them, of the audio as it was read."""

    @property
    @abstractmethod
    def size(self) -> int:
        """Bytes of memory that it takes to keep it."""

    def augmented(self, augmentation: Augmentation) -> Self:
        """With its features changed at random; as it is, if it has none to change."""
        return self


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows padded to one length."""

    rows: list[Row]
    inputs: dict[str, Tensor]
    """What the family's loss takes, by name; on the host."""
    targets: list[int]
    """How many tokens of each row have loss; with no rows, those of a batch without loss."""
    refused: list[Refused]
    """Rows that turned out to be unusable when their audio was opened; they are not in the
    batch."""


class Encoder(ABC):
    """Turns rows into examples and these into batches; keeps examples in memory."""

    sample_rate: int
    """That the model hears, in Hz."""
    window: Seconds = 0.0
    """The model pads shorter audio to this."""

    def __init__(
        self, processor: Any, settings: recipes.Data, audited: AuditedAudio | None = None
    ) -> None:
        """Prepare.

        Args:
            processor: the model's own, whatever the family takes for it.
            settings: of the recipe.
            audited: what the audio must be; None: anything, as in an evaluation.
        """
        self.processor = processor
        self.settings = settings
        self.audited = audited
        self._kept: dict[str, Example] = {}
        self._room = int(settings.cache_gib * 2**30)

    @abstractmethod
    def count_tokens(self, row: Row) -> int:
        """How large a row is in a batch, by its length and its text; no audio is opened.

        `data.batch_tokens` and `data.max_tokens` are in this unit.
        """

    @abstractmethod
    def encode(self, row: Row, samples: NDArray[np.float32]) -> Example:
        """The example of a row whose audio is decoded; `samples` have the model's sample rate."""

    @abstractmethod
    def batch(self, items: Sequence[Example | Refused]) -> Batch:
        """A batch to train on; refused rows are set aside. With no example its `inputs` are
        empty."""

    def evaluation_batch(self, items: Sequence[Example | Refused]) -> Batch:
        """A batch for `Family.score`."""
        return self.batch(items)

    @abstractmethod
    def silence(self) -> Batch:
        """A short batch without rows and without loss, for a process that has fewer batches than
        the others: its gradients are zero, and every trained parameter takes part."""

    def check(self, row: Row) -> Refused | None:
        """Whether the family can learn this row, by its length and its text; None: it can."""
        return None

    def admit(self, row: Row) -> Row | Refused:
        """The row with its tokens counted; refused: by `check`, or too many tokens."""
        fault = self.check(row)
        if fault is not None:
            return fault
        tokens = self.count_tokens(row)
        fault = check_tokens(row.utterance.id, tokens, self.settings)
        return replace(row, tokens=tokens, window=self.window) if fault is None else fault

    def _fits(self, row: Row, seconds: Seconds) -> bool:
        """Whether a row of this length would be within the limits."""
        if check_length(row.utterance.id, seconds, self.settings) is not None:
            return False
        return isinstance(self.admit(replace(row, seconds=seconds)), Row)

    def read(self, row: Row, augmentation: Augmentation | None = None) -> Example | Refused:
        """Decode a row's audio and make its example; refused: unreadable, or outside the limits.

        Args:
            row: one row of the corpus.
            augmentation: how the row is changed; then its example is not kept. If the speed would
                take the row past a limit, the speed stays as it was.
        """
        kept = self._kept.get(row.utterance.id)
        if kept is not None and augmentation is None:
            return kept
        try:
            samples = load_samples(row.utterance, self.sample_rate, self.audited)
        except AlteredAudio as error:
            return Refused(row.utterance.id, ALTERED, str(error))
        except AudioError as error:
            return Refused(row.utterance.id, "unreadable", str(error))
        seconds = len(samples) / self.sample_rate
        fault = check_length(row.utterance.id, seconds, self.settings) or self.check(
            replace(row, seconds=seconds)
        )
        if fault is not None:
            return fault
        if augmentation is not None:
            seconds = augmentation.stretched(len(samples)) / self.sample_rate
            samples = augmentation.change_samples(samples, stretch=self._fits(row, seconds))
        example = self.encode(row, samples)
        fault = check_tokens(row.utterance.id, example.tokens, self.settings)
        if fault is not None:
            return fault
        if augmentation is not None:
            return example.augmented(augmentation)
        if example.size <= self._room:
            self._room -= example.size
            self._kept[row.utterance.id] = example
        return example


class Examples(Dataset[Example | Refused]):
    """Training rows as a dataset for torch's DataLoader, by epoch and index."""

    def __init__(self, rows: Sequence[Row], encoder: Encoder, seed: int) -> None:
        self.rows = rows
        self.encoder = encoder
        self.seed = seed

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, key: tuple[int, int]) -> Example | Refused:
        # The epoch is part of the key, because workers live longer than one epoch.
        epoch, index = key
        row, settings = self.rows[index], self.encoder.settings.augment
        if not settings:
            return self.encoder.read(row)
        changes = Augmentation(settings, seed=self.seed, epoch=epoch, id=row.utterance.id)
        return self.encoder.read(row, changes)
