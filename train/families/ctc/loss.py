"""The CTC loss of a batch whose rows do not see each other."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from asr_gate.networks.features import exact_features, exact_when_padded, feature_encoder
from asr_gate.train.families.ctc.frames import frames_of, is_exact, reads_samples
from asr_gate.train.families.interface import Objective
from asr_gate.train.model.ctc import ctc_losses


class LetterLoss(Objective):
    """Sums the CTC loss over the rows of a batch."""

    on_host: ClassVar[frozenset[str]] = frozenset({"inputs", "letters"})

    def __init__(self, model: nn.Module, blank: int) -> None:
        super().__init__(model)
        self.blank = blank
        if exact_when_padded(model.config):
            feature_encoder(model)

    def forward(self, weights: Tensor | None = None, **inputs: Tensor) -> Tensor:
        """Loss in nats, summed; a scalar.

        Args:
            weights: weight of each row, shape (rows,); None: 1.
            inputs: a batch of `LetterEncoder.batch`.
        """
        logits, frames = self.logits(inputs["values"], inputs["inputs"])
        if "silent" in inputs:
            return logits.float().sum() * 0 + self._unused()
        losses = self.losses(logits, frames, inputs)
        return (losses if weights is None else losses * weights).sum() + self._unused()

    def losses(self, logits: Tensor, frames: Tensor, inputs: dict[str, Tensor]) -> Tensor:
        """The loss of each row, shape (rows,)."""
        return ctc_losses(logits, frames, inputs["targets"], inputs["letters"], blank=self.blank)

    def logits(self, values: Tensor, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """What the model says of each frame.

        Args:
            values: samples or filter banks, padded.
            inputs: how many of them each row has, shape (rows,); on the host.

        Returns:
            Shape (rows, frames, tokens), and how many frames each row has, shape (rows,), on the
            host.
        """
        config = self.model.config
        counts = inputs.tolist()
        frames = torch.tensor([frames_of(config, count) for count in counts])
        if is_exact(config):
            return self._padded(values, inputs.to(values.device), int(frames.max())), frames
        # Alone, since what comes after the feature encoder would read the padding.
        rows = [
            self._alone(row[None, :count], int(there))
            for row, count, there in zip(values, counts, frames, strict=True)
        ]
        return nn.utils.rnn.pad_sequence(rows, batch_first=True), frames

    def _padded(self, values: Tensor, inputs: Tensor, longest: int) -> Tensor:
        """Logits of all rows at once, none of which sees the padding."""
        config = self.model.config
        mask = (torch.arange(values.shape[1], device=values.device) < inputs[:, None]).long()
        if reads_samples(config):
            encoder = self.model.base_model.feature_extractor
            given = {"input_values": exact_features(encoder, values, inputs)}
        else:
            given = {"input_features": values}
        with _seeded_masks(config, longest, self.training):
            logits: Tensor = self.model(**given, attention_mask=mask).logits
        return logits

    def _alone(self, values: Tensor, frames: int) -> Tensor:
        """Logits of one row of samples, shape (frames, tokens)."""
        encoder = self.model.base_model.feature_extractor
        # Otherwise gradients would be computed down to the samples through frozen convolutions.
        encoder._requires_grad = any(one.requires_grad for one in encoder.parameters())
        with _seeded_masks(self.model.config, frames, self.training):
            logits: Tensor = self.model(input_values=values).logits[0]
        return logits

    def _unused(self) -> Tensor | int:
        """Zero, in which the embedding of masked frames takes part: a batch may have no mask."""
        mask = getattr(self.model.base_model, "masked_spec_embed", None)
        return 0 if mask is None or not mask.requires_grad else mask.sum() * 0


@contextmanager
def _seeded_masks(config: Any, frames: int, training: bool) -> Iterator[None]:
    """Draw the model's own masks of frames by torch's random numbers: transformers takes numpy's.

    Audio that is no longer than a mask has none, which transformers would refuse.
    """
    asked = config.apply_spec_augment
    config.apply_spec_augment = asked and frames > config.mask_time_length
    before = np.random.get_state() if training and config.apply_spec_augment else None
    if before is not None:
        np.random.seed(int(torch.randint(2**32, ())))
    try:
        yield
    finally:
        config.apply_spec_augment = asked
        if before is not None:
            np.random.set_state(before)
