"""From a row to the tensors of the model: samples or filter banks, and the ids of its letters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from asr_gate.corpus.audited import AuditedAudio
from asr_gate.corpus.errors import UserError
from asr_gate.train import recipes
from asr_gate.train.data.examples import Batch, Encoder, Example
from asr_gate.train.data.rows import Row
from asr_gate.train.families.ctc.frames import frames_of, inputs_of
from asr_gate.train.families.ctc.vocabulary import Processor
from asr_gate.train.model.ctc import fewest_frames
from asr_gate.train.plan import Refused

LEAST = 800
"""Samples; shorter sounds are padded with silence, since the convolutions need 400."""


@dataclass(frozen=True, slots=True)
class LetterExample(Example):
    """One row, ready for a batch."""

    values: Tensor
    """Samples, shape (samples,), or filter banks, shape (inputs, bins); float32."""
    target: Tensor
    """Ids of the letters, shape (letters,), int64."""
    frames: int

    @property
    def tokens(self) -> int:
        """Frames."""
        return self.frames

    @property
    def size(self) -> int:
        """Bytes of its values."""
        return self.values.nbytes


class LetterEncoder(Encoder):
    """Turns rows into examples with the model's own feature extractor and vocabulary."""

    processor: Processor

    def __init__(
        self,
        processor: Processor,
        config: Any,
        settings: recipes.Data,
        audited: AuditedAudio | None = None,
    ) -> None:
        """Prepare; see `Encoder`.

        Raises:
            UserError: the recipe asks for what this family does not have.
        """
        super().__init__(processor, settings, audited)
        if settings.augment.spec_augment is not None:
            raise UserError(
                "data.augment.spec_augment: masks mel features, and this model has its own masks "
                "(mask_time_prob in its config.json); set it to null"
            )
        if settings.learn_language:
            raise UserError(
                "data.learn_language=true: a model with a CTC head writes no language; set false"
            )
        self.config = config
        self.vocabulary = processor.vocabulary
        self.sample_rate = int(processor.extractor.sampling_rate)

    def _frames(self, row: Row) -> int:
        samples = max(LEAST, round(row.seconds * self.sample_rate))
        return frames_of(self.config, inputs_of(self.config, samples))

    def target(self, row: Row) -> list[int]:
        """Ids of the transcript's letters."""
        return self.vocabulary.ids(row.utterance.text, row.language or None)

    def count_tokens(self, row: Row) -> int:
        """Frames, by the row's length."""
        return self._frames(row)

    def check(self, row: Row) -> Refused | None:
        """Refuse a transcript that is too long for its audio: its loss would be infinite."""
        needed, there = fewest_frames(self.target(row)), self._frames(row)
        if needed <= there:
            return None
        return Refused(
            row.utterance.id,
            "too_few_frames",
            f"its letters need {needed} frames, {row.seconds:.2f} s of audio have {there}",
        )

    def encode(self, row: Row, samples: NDArray[np.float32]) -> LetterExample:
        """The example of a row whose audio is decoded."""
        padded = np.pad(samples, (0, max(0, LEAST - len(samples))))
        # One row at a time: in a batch, its mean and variance would be those of padding as well.
        made = self.processor.extractor(
            [padded],
            sampling_rate=self.sample_rate,
            return_attention_mask=True,
            return_tensors="pt",
        )
        (name,) = made.keys() - {"attention_mask"}
        values = made[name][0, : int(made["attention_mask"].sum())].float()
        target = torch.tensor(self.target(row), dtype=torch.long)
        return LetterExample(row, values, target, frames_of(self.config, len(values)))

    def batch(self, items: Sequence[Example | Refused]) -> Batch:
        """Padded on the right; `values`: (rows, inputs[, bins]), `inputs` and `letters`: how many
        of them each row has, `targets`: (rows, letters)."""
        examples = [item for item in items if isinstance(item, LetterExample)]
        refused = [item for item in items if isinstance(item, Refused)]
        if not examples:
            return Batch([], {}, [], refused)
        letters = [len(one.target) for one in examples]
        inputs = {
            "values": _padded([one.values for one in examples]),
            "inputs": torch.tensor([len(one.values) for one in examples]),
            "targets": _padded([one.target for one in examples]),
            "letters": torch.tensor(letters),
        }
        return Batch([one.row for one in examples], inputs, letters, refused)

    def silence(self) -> Batch:
        """A second of silence; the loss of a batch with `silent` is zero."""
        second = np.zeros(self.sample_rate, np.float32)
        made = self.processor.extractor(
            [second], sampling_rate=self.sample_rate, return_tensors="pt"
        )
        (name,) = made.keys() - {"attention_mask"}
        values = made[name].float()
        inputs = {
            "values": values,
            "inputs": torch.tensor([values.shape[1]]),
            "targets": torch.zeros((1, 0), dtype=torch.long),
            "letters": torch.zeros(1, dtype=torch.long),
            "silent": torch.ones(1),
        }
        return Batch([], inputs, [], [])


def _padded(tensors: Sequence[Tensor]) -> Tensor:
    return torch.nn.utils.rnn.pad_sequence(list(tensors), batch_first=True)
