"""What the activations of a batch take, counted from shapes."""

from __future__ import annotations

import re
from collections.abc import Iterable

from transformers import Qwen3ASRForConditionalGeneration

from asr_gate.train.families.interface import TokenMemory

# Bytes of activations that are kept for the backward pass, for each token and unit of width, under
# bfloat16 arithmetic. `python -m bench.memory` measures them.
TEXT_LAYER = 69
TEXT_REST = 16
"""Embeddings, projector, and the last norm."""
AUDIO_LAYER = 35
HEARD = re.compile(r"model\.audio_tower\.layers\.(\d+)\.")
INPUT = 4
"""A layer's input alone, in float32: all that is kept of it with gradient checkpointing."""


def token_memory(model: Qwen3ASRForConditionalGeneration, trained: Iterable[str]) -> TokenMemory:
    """What each token of a batch takes.

    Every layer of the language model is counted as if it trained: gradients pass through all of
    them to the projector, and the frozen ones keep some two thirds.

    Args:
        model: may be without weights.
        trained: names of the parameters that train.
    """
    text, audio = model.config.get_text_config(), model.config.audio_config
    layer = TEXT_LAYER * text.hidden_size
    rest = TEXT_REST * text.hidden_size + layer  # the backward pass is at one layer at a time
    heard = len({one[1] for name in trained if (one := HEARD.match(name))})
    return TokenMemory(
        plain=rest + layer * text.num_hidden_layers + AUDIO_LAYER * audio.d_model * heard,
        checkpointed=rest
        + INPUT * (text.hidden_size * text.num_hidden_layers + audio.d_model * heard),
    )
