"""wav2vec2's feature encoder over a padded batch, each row as if it were alone.

Models like wav2vec2-base normalise each channel over time (`feat_extract_norm="group"`), so that
the padding of a batch changes every frame of its shorter rows. Here the statistics are taken over
the valid frames only. The convolutions themselves pad nothing: a frame whose receptive field lies
within its row never sees what comes after the row.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

EXACT = frozenset({"hubert", "unispeech", "unispeech-sat", "wav2vec2", "wavlm"})
"""`model_type` of transformers' models whose padded rows get what single rows get (tested)."""


def exact_when_padded(config: Any) -> bool:
    """Whether a transformers model of this configuration may be given padded rows.

    It needs an attention mask and, with group norm, features by `exact_features`.
    """
    return config.model_type in EXACT and not getattr(config, "add_adapter", False)


def feature_encoder(model: Any) -> nn.Module:
    """The feature encoder of a transformers CTC model, which from now on takes features as well.

    Compute them by `exact_features`, and call the model with them as `input_values`, with the
    attention mask of the samples as before. Nothing is kept between calls, so that several threads
    may use the model; names and values of its parameters stay.

    Args:
        model: of a type in `EXACT`.
    """
    encoder: nn.Module = model.base_model.feature_extractor
    encoder.forward = partial(_encode_once, encoder)
    return encoder


def _encode_once(encoder: nn.Module, values: Tensor) -> Tensor:
    """Features of waveforms (rows, samples); features (rows, channels, frames) as they are."""
    encoded: Tensor = values if values.dim() == 3 else type(encoder).forward(encoder, values)
    return encoded


def exact_features(encoder: nn.Module, waveforms: Tensor, samples: Tensor) -> Tensor:
    """Features of padded waveforms, as each gives them alone; gradients pass through.

    Layers recompute their activations in the backward pass where the model is told to.

    Args:
        encoder: of a transformers model, see `feature_encoder`.
        waveforms: shape (rows, samples), padded at the end with any finite values.
        samples: valid samples of each row, shape (rows,).

    Returns:
        Shape (rows, channels, frames); what lies past a row's last frame means nothing.
    """
    hidden, valid = waveforms[:, None], samples
    layers: Any = encoder.conv_layers
    for layer in layers:
        valid = (valid - layer.conv.kernel_size[0]) // layer.conv.stride[0] + 1
        if not isinstance(getattr(layer, "layer_norm", None), nn.GroupNorm):
            hidden = layer(hidden)
        elif layer.gradient_checkpointing and layer.training:
            hidden = layer._gradient_checkpointing_func(_group_norm_layer, layer, hidden, valid)
        else:
            hidden = _group_norm_layer(layer, hidden, valid)
    return hidden


def _group_norm_layer(layer: Any, hidden: Tensor, valid: Tensor) -> Tensor:
    """A convolution, its norm over the valid frames, and its activation."""
    normal = masked_group_norm(layer.layer_norm, layer.conv(hidden), valid)
    activated: Tensor = layer.activation(normal)
    return activated


def masked_group_norm(norm: nn.GroupNorm, hidden: Tensor, valid: Tensor) -> Tensor:
    """Group normalisation (Wu and He, 2018) with statistics over the valid frames only.

    Args:
        norm: its groups, weights and epsilon.
        hidden: shape (rows, channels, frames), finite everywhere.
        valid: valid frames of each row, shape (rows,).

    Returns:
        Shape (rows, channels, frames), float32 for half precision too, as torch's own.
    """
    rows, channels, frames = hidden.shape
    grouped = hidden.float().view(rows, norm.num_groups, -1, frames)
    inside = (torch.arange(frames, device=hidden.device) < valid[:, None])[:, None, None]
    count = (valid.clamp(min=1) * (channels // norm.num_groups))[:, None, None, None]
    mean = grouped.where(inside, 0.0).sum((2, 3), keepdim=True) / count
    centred = grouped - mean
    variance = centred.square().where(inside, 0.0).sum((2, 3), keepdim=True) / count
    centred = centred.view(rows, channels, frames)
    scale = (variance + norm.eps).rsqrt().expand(-1, -1, channels // norm.num_groups, -1)
    scale = scale.reshape(rows, channels, 1)
    if not norm.affine:
        return centred * scale
    # The backward pass keeps `centred` alone of what is as long as the audio.
    return torch.addcmul(norm.bias.float()[:, None], centred, scale * norm.weight.float()[:, None])
