"""Losses of tokens, whose logits never exist all at once."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

CHUNK = 256
"""Positions whose logits exist at the same time. With a vocabulary of 152,000 they take 156 MB in
float32, and the loss on them several times as much."""


def token_losses(head: nn.Module, states: Tensor, targets: Tensor) -> Tensor:
    """Loss of each position in nats, shape (positions,), float32.

    Logits are computed for `CHUNK` positions at a time, and again in the backward pass, so that
    memory does not grow with batch times vocabulary.

    Args:
        head: gives the logits of a state.
        states: last states of the decoder, shape (positions, width).
        targets: the token that each is to predict, shape (positions,).
    """
    chunks = list(zip(torch.split(states, CHUNK), torch.split(targets, CHUNK), strict=True))
    # With a single chunk, computing it twice would save nothing.
    again = len(chunks) > 1 and torch.is_grad_enabled()
    return torch.cat(
        [
            checkpoint(_losses, head, *chunk, use_reentrant=False)
            if again
            else _losses(head, *chunk)
            for chunk in chunks
        ]
    )


def _losses(head: nn.Module, states: Tensor, targets: Tensor) -> Tensor:
    return nn.functional.cross_entropy(head(states).float(), targets, reduction="none")
