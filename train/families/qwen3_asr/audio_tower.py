"""Qwen3-ASR's audio tower without waiting for the device.

transformers' forward asks the device for every length, and calls attention once a window. The
lengths are known on the host before anything is moved: `pack` turns them into indices there, and
`audio_states` computes the same with all windows in one call. The layers stay transformers' own.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from transformers import Qwen3ASREncoder
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS
from transformers.utils.generic import is_flash_attention_requested

WINDOWED = "asr_windowed_sdpa"
"""Name of `windowed_attention` among transformers' attention functions."""

NAMES = (
    "audio_chunks",
    "audio_tokens",
    "audio_windows",
    "audio_in_window",
    "audio_back",
    "audio_bounds",
)
"""What `pack` gives."""

ON_HOST = "audio_bounds"
"""The one of them that the host reads."""


def pack(tower: Qwen3ASREncoder, mask: Tensor) -> dict[str, Tensor]:
    """Where the audio of a batch lies, for `audio_states`.

    In each row a chunk of 100 mel frames becomes 13 tokens, and
    attention sees windows of 104 tokens that begin with the row.

    Args:
        tower: only its configuration is used.
        mask: on the host, shape (rows, frames): 1 where there is audio, at the beginning of a row.

    Returns:
        `audio_chunks` (chunks,): chunks that hold audio, among those of all rows.
        `audio_tokens` (tokens,): tokens that hold audio, among those of these chunks.
        `audio_windows` (windows, longest): tokens of each window; any token where it is shorter.
        `audio_in_window` (windows, longest): whether there is a token.
        `audio_back` (tokens,): where each token stands in the windows.
        `audio_bounds` (windows + 1,): first token of each window, and the end; on the host.
    """
    chunk = 2 * tower.n_window
    lengths = mask.view(len(mask), -1, chunk).sum(-1)
    tokens = _convolved(lengths)
    chunks = tokens.flatten().nonzero()[:, 0]
    most = int(_convolved(torch.tensor(chunk)))
    there = torch.arange(most) < tokens.flatten()[chunks, None]
    longest = most * (tower.n_window_infer // chunk)
    sizes = torch.tensor(
        [
            min(longest, row - start)
            for row in tokens.sum(1).tolist()
            for start in range(0, row, longest)
        ]
    )
    bounds = nn.functional.pad(sizes.cumsum(0), (1, 0))
    # The kernels of a GPU want rows of the mask to begin at multiples of eight.
    width = torch.arange(-(-int(sizes.max()) // 8) * 8)
    in_window = width < sizes[:, None]
    return {
        "audio_chunks": chunks,
        "audio_tokens": there.flatten().nonzero()[:, 0],
        "audio_windows": (bounds[:-1, None] + width).clamp(max=int(bounds[-1]) - 1),
        "audio_in_window": in_window,
        "audio_back": in_window.flatten().nonzero()[:, 0],
        "audio_bounds": bounds.int(),
    }


def audio_states(
    tower: Qwen3ASREncoder,
    features: Tensor,
    *,
    audio_chunks: Tensor,
    audio_tokens: Tensor,
    audio_windows: Tensor,
    audio_in_window: Tensor,
    audio_back: Tensor,
    audio_bounds: Tensor,
) -> Tensor:
    """The tower's output for all rows one after the other, shape (audio tokens, tower's width).

    Args:
        tower: the layers' attention is chosen by its configuration.
        features: log-mel features, shape (rows, mel bins, frames).
        audio_chunks: this and the others: see `pack`.
    """
    rows, bins, frames = features.shape
    chunk = 2 * tower.n_window
    chunks = features.view(rows, bins, frames // chunk, chunk).transpose(1, 2)
    # (chunks with audio, 1, mel bins, frames of a chunk)
    hidden = chunks.reshape(-1, 1, bins, chunk).index_select(0, audio_chunks)
    for convolution in (tower.conv2d1, tower.conv2d2, tower.conv2d3):
        hidden = nn.functional.gelu(convolution(hidden))
    hidden = tower.conv_out(hidden.permute(0, 3, 1, 2).flatten(2))
    position = tower.positional_embedding.positional_embedding[: hidden.shape[1]]
    hidden = (hidden + position.to(hidden.dtype)).flatten(0, 1).index_select(0, audio_tokens)
    attention: dict[str, Any] = {"cu_seqlens": audio_bounds}
    if is_flash_attention_requested(tower.config):
        longest = int((audio_bounds[1:] - audio_bounds[:-1]).max())
        attention = {
            "cu_seqlens": audio_bounds.to(hidden.device, non_blocking=True),
            "max_seqlen": longest,
        }
    elif tower.config._attn_implementation == WINDOWED:
        attention = {
            "cu_seqlens": audio_bounds[[0, -1]],
            "windows": audio_windows,
            "in_window": audio_in_window,
            "back": audio_back,
        }
    for layer in tower.layers:
        hidden = layer(hidden, **attention)[0]
    states: Tensor = tower.ln_post(hidden)
    return states


def windowed_attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    *,
    scaling: float,
    windows: Tensor | None = None,
    in_window: Tensor | None = None,
    back: Tensor | None = None,
    **rest: Any,
) -> tuple[Tensor, None]:
    """Attention within windows, in one call, as one of transformers' attention functions.

    Args:
        module: the layer's attention.
        query: this, `key` and `value`: shape (1, heads, tokens, width of a head).
        attention_mask: None.
        scaling: factor of the scores.
        windows: this and the others as in `pack`; None: all tokens are one window.
        in_window: see `pack`.
        back: see `pack`.
        rest: what transformers gives besides.

    Returns:
        Shape (1, tokens, heads, width of a head); and no weights.
    """
    if windows is None or in_window is None or back is None:
        whole, _ = sdpa_attention_forward(
            module, query, key, value, attention_mask, scaling=scaling, **rest
        )
        return whole, None
    places, (_, heads, _, width) = windows.flatten(), query.shape
    # (windows, heads, longest, width of a head)
    q, k, v = (
        one[0]
        .transpose(0, 1)
        .index_select(0, places)
        .view(*windows.shape, heads, width)
        .transpose(1, 2)
        for one in (query, key, value)
    )
    found = nn.functional.scaled_dot_product_attention(
        q, k, v, attn_mask=in_window[:, None, None], scale=scaling
    )
    return found.transpose(1, 2).flatten(0, 1).index_select(0, back)[None], None


ALL_ATTENTION_FUNCTIONS.register(WINDOWED, windowed_attention)


def _convolved(frames: Tensor) -> Tensor:
    """Tokens after the three convolutions, for numbers of frames; none for none."""
    for _ in range(3):
        frames = (frames + 1) // 2
    return frames
