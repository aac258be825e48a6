"""Layers of transformers' models that recompute their activations."""

from __future__ import annotations

from typing import Any


def set_gradient_checkpointing(model: Any, on: bool) -> None:
    """Let the layers of a model recompute their activations in the backward pass, or keep them.

    In evaluation mode this has no effect.
    """
    if not on:
        model.activation_checkpointing_disable()
        return
    model.activation_checkpointing_enable({"use_reentrant": False})
    # The call above also enables gradients down to the embeddings and the audio tower's first
    # convolution, frozen or not, and disabling would keep them. Only reentrant checkpoints need
    # them.
    model.disable_input_require_grads()
