"""What the activations of a batch take, counted from shapes."""

from __future__ import annotations

import re
from collections.abc import Iterable

from transformers import WhisperConfig

from asr_gate.train.families.interface import TokenMemory

# Bytes of activations that are kept for the backward pass, for each encoder position or decoder
# token and unit of width, under bfloat16 arithmetic; a test measures them.
ENCODER_LAYER = 43
DECODER_LAYER = 55
CROSS = 8
"""Of an encoder position in each decoder layer: keys and values of the cross-attention."""
HEARD = 8
"""The encoder's output and its last norm."""
READ = 5
"""Embeddings and the decoder's last norm."""
INPUT = 4
"""A layer's input alone, in float32: all that is kept of it with gradient checkpointing."""
LAYER = re.compile(r"model\.encoder\.layers\.(\d+)\.")


def token_memory(config: WhisperConfig, trained: Iterable[str]) -> TokenMemory:
    """What each token of a batch takes: of a row, the encoder positions and the decoder's tokens.

    Every layer of the decoder is counted as if it trained. The backward pass is at one layer at a
    time, which is counted once more.

    Args:
        config: of the model.
        trained: names of the parameters that train.
    """
    encoder, decoder = _layers_kept(config, trained), config.decoder_layers
    once = ENCODER_LAYER if encoder else 0
    return TokenMemory(
        plain=_of_a_token(
            config,
            HEARD + ENCODER_LAYER * encoder + CROSS * decoder + once,
            READ + DECODER_LAYER * (decoder + 1),
        ),
        checkpointed=_of_a_token(
            config,
            HEARD + INPUT * encoder + CROSS + once,
            READ + INPUT * decoder + DECODER_LAYER,
        ),
    )


def _layers_kept(config: WhisperConfig, trained: Iterable[str]) -> int:
    """Layers of the encoder that gradients pass: from the lowest one that trains."""
    count: int = config.encoder_layers
    lowest = count
    for name in trained:
        if layer := LAYER.match(name):
            lowest = min(lowest, int(layer[1]))
        elif name.startswith("model.encoder.conv"):
            return count + 1  # the convolutions keep about as much as a layer
    return count - lowest


def _of_a_token(config: WhisperConfig, heard: int, read: int) -> int:
    """Bytes of a token, be the row's text short or as long as it may be.

    Args:
        config: of the model.
        heard: bytes of an encoder position, for each unit of width.
        read: the same of a token of the decoder.
    """
    positions: int = config.max_source_positions
    most: int = config.max_target_positions
    mean = (positions * heard + most * read) / (positions + most)
    width: int = config.d_model
    return round(width * max(heard, mean))
