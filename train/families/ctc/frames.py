"""How many frames a model makes of audio; from its configuration alone."""

from __future__ import annotations

from typing import Any

from asr_gate.networks.features import exact_when_padded

FBANK = "wav2vec2-bert"
"""Reads filter banks of 10 ms, two by two; the other models read samples."""
WINDOW, HOP = 400, 160
"""Samples of a filter bank's window (25 ms at 16 kHz), and from one to the next."""


def reads_samples(config: Any) -> bool:
    """Whether the model reads samples, and not filter banks."""
    return bool(config.model_type != FBANK)


def inputs_of(config: Any, samples: int) -> int:
    """How many inputs the model reads of so many samples."""
    return samples if reads_samples(config) else (1 + (samples - WINDOW) // HOP) // 2


def frames_of(config: Any, inputs: int) -> int:
    """How many frames the model makes of so many inputs."""
    if reads_samples(config):
        for kernel, stride in zip(config.conv_kernel, config.conv_stride, strict=True):
            inputs = (inputs - kernel) // stride + 1
    if getattr(config, "add_adapter", False):
        for _ in range(config.num_adapter_layers):
            width = 1 if reads_samples(config) else config.adapter_kernel_size
            inputs = (inputs + 2 * (width // 2) - width) // config.adapter_stride + 1
    return max(0, inputs)


def is_exact(config: Any) -> bool:
    """Whether a row's output in a padded batch is the same as alone.

    Where convolutions above the feature encoder read the padding, it is not.
    """
    return not reads_samples(config) or exact_when_padded(config)
