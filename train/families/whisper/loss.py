"""The training objective: negative log-likelihood of the transcript and its end token."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor
from transformers import WhisperForConditionalGeneration

from asr_gate.train.families.interface import Objective
from asr_gate.train.families.whisper.encoder import IGNORE
from asr_gate.train.model.token_losses import token_losses


class TranscriptLoss(Objective):
    """Sums the loss over supervised tokens, and computes logits only there."""

    model: WhisperForConditionalGeneration

    def forward(self, weights: Tensor | None = None, **inputs: Tensor) -> Tensor:
        """Loss in nats, summed; a scalar.

        Args:
            weights: weight of each row's tokens, shape (rows,); None: 1.
            inputs: a batch that `pack` prepared, or that it can prepare.
        """
        losses, rows = self._supervised(inputs)
        # Not a dot product: autocast would compute that in bfloat16.
        return (losses if weights is None else losses * weights[rows]).sum()

    def by_row(self, **inputs: Tensor) -> Tensor:
        """The loss of each row, shape (rows,); arguments as in `forward`."""
        losses, rows = self._supervised(inputs)
        return losses.new_zeros(len(inputs["decoder_input_ids"])).index_add(0, rows, losses)

    def pack(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """A batch with its supervised positions found; on the host.

        Args:
            inputs: as `encoder.collate` makes them; in place of the features there may be
                `audio_states`, what the encoder made of them.
        """
        packed = dict(inputs)
        labels = packed.pop("labels")
        packed["loss_rows"], columns = (labels != IGNORE).nonzero(as_tuple=True)
        packed["loss_at"] = packed["loss_rows"] * labels.shape[1] + columns
        packed["loss_targets"] = labels.flatten()[packed["loss_at"]]
        return packed

    def audio_states(self, features: Tensor) -> Tensor:
        """What the decoder hears, shape (rows, encoder positions, width)."""
        states: Tensor = self.model.model.encoder(features, use_cache=False).last_hidden_state
        return states

    def _supervised(self, inputs: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Losses and rows of the supervised positions of a batch, both of shape (positions,)."""
        packed = inputs if "loss_at" in inputs else self.pack(inputs)
        heard = packed.get("audio_states")
        if heard is None:
            heard = self.audio_states(packed["input_features"])
        # Padding stands on the right, where causal attention never looks.
        states = self.model.model.decoder(
            input_ids=packed["decoder_input_ids"], encoder_hidden_states=heard, use_cache=False
        ).last_hidden_state
        supervised = states.flatten(0, 1).index_select(0, packed["loss_at"])
        losses = token_losses(self.model.proj_out, supervised, packed["loss_targets"])
        return losses, packed["loss_rows"]
