"""The training objective: negative log-likelihood of the transcript and its end token."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint
from transformers import Qwen3ASRForConditionalGeneration

from asr_gate.train.data.collation import IGNORE

CHUNK = 256
"""Positions whose logits exist at the same time. With Qwen3-ASR's vocabulary they take 156 MB in
float32, and the loss on them several times as much."""


class TranscriptLoss(nn.Module):
    """Sums the loss over supervised tokens, and computes logits only there.

    Logits are computed for `CHUNK` positions at a time, and again in the backward pass, so that
    memory does not grow with batch times vocabulary.

    It is a sum and not a mean, so that the caller can divide by the tokens of a whole step, however
    many batches the step has.
    """

    def __init__(self, model: Qwen3ASRForConditionalGeneration) -> None:
        super().__init__()
        self.model = model

    def forward(self, labels: Tensor, weights: Tensor | None = None, **inputs: Tensor) -> Tensor:
        """Loss in nats, summed; a scalar.

        Args:
            labels: shape (rows, tokens); `IGNORE` where there is no loss. If there is no loss
                anywhere, the loss and its gradients are zero.
            weights: weight of each row's tokens, shape (rows,); None: 1.
            inputs: the model's other arguments, as in `collation.Batch`; instead of the features
                there may be `audio_states`, see `audio_cache.AudioCache.inputs_of`.
        """
        losses, rows = self._supervised(labels, inputs)
        # Not a dot product: autocast would compute that in bfloat16.
        return (losses if weights is None else losses * weights[rows]).sum()

    def by_row(self, labels: Tensor, **inputs: Tensor) -> Tensor:
        """The loss of each row, shape (rows,); arguments as in `forward`."""
        losses, rows = self._supervised(labels, inputs)
        return losses.new_zeros(len(labels)).index_add(0, rows, losses)

    def _supervised(self, labels: Tensor, inputs: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Losses and rows of the supervised positions of a batch, both of shape (positions,)."""
        # (rows, tokens, width)
        inputs = self._projected(inputs)
        hidden = self.model.model(**inputs, use_cache=False).last_hidden_state
        # The state at one position predicts the token at the next.
        following = labels[:, 1:]
        supervised = following != IGNORE
        states = torch.split(hidden[:, :-1][supervised], CHUNK)
        targets = torch.split(following[supervised], CHUNK)
        # With a single chunk, computing it twice would save nothing.
        again = len(states) > 1 and torch.is_grad_enabled()
        losses = [
            checkpoint(self._losses, *chunk, use_reentrant=False) if again else self._losses(*chunk)
            for chunk in zip(states, targets, strict=True)
        ]
        return torch.cat(losses), supervised.nonzero()[:, 0]

    def _losses(self, states: Tensor, targets: Tensor) -> Tensor:
        """Loss of each position, shape (positions,), from its last state and the next token."""
        logits = self.model.lm_head(states).float()
        return nn.functional.cross_entropy(logits, targets, reduction="none")

    def _projected(self, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        """Put the projected outputs of the audio tower in place of the audio placeholders."""
        if "audio_states" not in inputs:
            return inputs
        rest = dict(inputs)
        ids, states = rest.pop("input_ids"), rest.pop("audio_states")
        model = self.model.model
        audio = model.multi_modal_projector(states)
        embeddings = model.get_input_embeddings()(ids)
        placeholders = model.get_placeholder_mask(
            ids, inputs_embeds=embeddings, audio_features=audio
        )
        filled = embeddings.masked_scatter(placeholders, audio.to(embeddings.dtype))
        return {**rest, "inputs_embeds": filled}


def supervised_tokens(labels: Tensor) -> int:
    """Number of positions of a batch with loss."""
    return int((labels[:, 1:] != IGNORE).sum())


def weighted_tokens(labels: Tensor, weights: Tensor) -> float:
    """Positions with loss, each counted by its row's weight; `weights` has shape (rows,)."""
    return float((labels[:, 1:] != IGNORE).sum(1).double() @ weights.double())


def compute_type(device: torch.device) -> torch.autocast:
    """bfloat16 arithmetic on CUDA, float32 elsewhere; weights are float32 in both."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=device.type == "cuda")
