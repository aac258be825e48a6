"""The training objective: negative log-likelihood of the transcript and its end token."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from transformers import Qwen3ASRForConditionalGeneration

from train.examples import IGNORE


class TranscriptLoss(nn.Module):
    """Sums the loss over supervised tokens and computes logits nowhere else.

    A sum and not a mean, so that the caller can divide by the tokens of a whole step, however many
    batches it is spread over.
    """

    def __init__(self, model: Qwen3ASRForConditionalGeneration) -> None:
        super().__init__()
        self.model = model

    def forward(self, labels: Tensor | None = None, **inputs: Tensor) -> Tensor:
        """Loss in nats, summed; a scalar.

        Args:
            labels: shape (rows, tokens); `IGNORE` where there is no loss. None: there is no batch,
                and the loss is a zero whose gradients are zeros, for a process that must take part
                in a step without rows of its own.
            inputs: the model's other arguments, as `examples.Batch` has them; in place of the
                features there may be `audio_states`, as `audio_cache.AudioCache.hear` has them.
        """
        if labels is None:
            trained = (p for p in self.model.parameters() if p.requires_grad)
            return torch.stack([(p * 0).sum() for p in trained]).sum()
        logits, targets, _ = self._supervised(labels, inputs)
        return nn.functional.cross_entropy(logits, targets, reduction="sum")

    def by_row(self, labels: Tensor, **inputs: Tensor) -> Tensor:
        """The same for each row by itself, shape (rows,); arguments as in `forward`."""
        logits, targets, rows = self._supervised(labels, inputs)
        losses = nn.functional.cross_entropy(logits, targets, reduction="none")
        return losses.new_zeros(len(labels)).index_add(0, rows, losses)

    def _supervised(
        self, labels: Tensor, inputs: dict[str, Tensor]
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Logits, targets and rows of the supervised positions of a batch."""
        # (rows, tokens, width)
        inputs = self._projected(inputs)
        hidden = self.model.model(**inputs, use_cache=False).last_hidden_state
        # The state at one position predicts the token at the next.
        following = labels[:, 1:]
        supervised = following != IGNORE
        logits = self.model.lm_head(hidden[:, :-1][supervised]).float()
        return logits, following[supervised], supervised.nonzero()[:, 0]

    def _projected(self, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        """Put what the audio tower once made of the audio where the model would put it."""
        if "audio_states" not in inputs:
            return inputs
        rest = dict(inputs)
        ids, states = rest.pop("input_ids"), rest.pop("audio_states")
        model = self.model.model
        audio = model.multi_modal_projector(states)
        embeddings = model.get_input_embeddings()(ids)
        places = model.get_placeholder_mask(ids, inputs_embeds=embeddings, audio_features=audio)
        filled = embeddings.masked_scatter(places, audio.to(embeddings.dtype))
        return {**rest, "inputs_embeds": filled}


def supervised_tokens(labels: Tensor) -> int:
    """How many positions of a batch have loss."""
    return int((labels[:, 1:] != IGNORE).sum())


def compute_type(device: torch.device) -> torch.autocast:
    """bfloat16 arithmetic on CUDA, float32 elsewhere; weights stay float32 in both."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=device.type == "cuda")
