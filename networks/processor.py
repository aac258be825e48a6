"""wav2vec2 on a processor: the same sums as torch's own modules, in an order that is faster.

For inference on one thread. What it gains was measured by `bench.emissions`.
"""

from __future__ import annotations

from contextlib import suppress
from copy import copy
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import threadpoolctl
import torch
from torch import Tensor, nn
from torch.nn import functional as F

CHUNK = 100
"""Frames of the feature encoder at a time: 2 s, whose channels fit into the cache."""


def prefer_numpy() -> bool:
    """Whether numpy multiplies matrices faster than torch: on AMD's processors.

    torch's MKL takes a slower path on processors that are not Intel's; numpy's OpenBLAS does not.
    It is decided by the processor and not by a measurement, so that two runs on a machine give the
    same digits. Processors on which nobody has measured it keep torch's products.
    """
    return (
        torch.backends.cpu.get_cpu_capability() in ("AVX2", "AVX512")
        and any(one["internal_api"] == "openblas" for one in threadpoolctl.threadpool_info())
        and _maker() == "AuthenticAMD"
    )


def _maker() -> str:
    """The processor's maker as Linux says it; elsewhere nothing."""
    with suppress(OSError), Path("/proc/cpuinfo").open() as lines:
        for line in lines:
            name, _, value = line.partition(":")
            if name.strip() == "vendor_id":
                return value.strip()
    return ""


def one_thread() -> None:
    """From now on, torch and numpy compute each product on one thread; see `batching`."""
    torch.set_num_threads(1)
    threadpoolctl.threadpool_limits(1, user_api="blas")


def multiply(left: Tensor, right: Tensor, *, by_numpy: bool) -> Tensor:
    """The product of two matrices that need no gradients."""
    if by_numpy:
        return torch.from_numpy(np.matmul(left.numpy(), right.numpy()))
    return left @ right


def quicken(model: nn.Module) -> None:
    """Let a float32 model that trains no more compute its linear layers and positions faster.

    Names and values of its parameters stay, and must not change afterwards.
    """
    by_numpy = prefer_numpy()
    for module in model.modules():
        if type(module) is nn.Linear and by_numpy:
            weight = module.weight.detach().t()
            bias = None if module.bias is None else module.bias.detach()
            module.forward = partial(_linear, weight, bias)  # type: ignore[method-assign]
        if isinstance(module, nn.Conv1d) and PositionalConvolution.suits(module):
            module.forward = PositionalConvolution(module)  # type: ignore[assignment, method-assign]


def _linear(weight: Tensor, bias: Tensor | None, values: Tensor) -> Tensor:
    product = multiply(values.reshape(-1, weight.shape[0]), weight, by_numpy=True)
    if bias is not None:
        product += bias
    return product.view(*values.shape[:-1], weight.shape[1])


class FeatureEncoder:
    """wav2vec2's feature encoder, of torchaudio or transformers, for one waveform at a time.

    Frames are rows here and channels columns, so that each convolution is a matrix product on
    memory as it lies, and its normalisation over channels moves nothing. A waveform goes through in
    chunks, and no batch pads it: its features are those that it has alone.
    """

    def __init__(self, encoder: Any, *, by_numpy: bool) -> None:
        """Take over weights, which must not change afterwards.

        Args:
            encoder: with `conv_layers`, each with a convolution without padding, with layer norm,
                group norm over one channel each or none, and GELU.
            by_numpy: see `prefer_numpy`.
        """
        self._layers = [_Layer(layer, by_numpy) for layer in encoder.conv_layers]

    def __call__(self, waveform: Tensor) -> Tensor:
        """Features of a waveform (samples,), shape (frames, channels)."""
        hidden, layers = waveform[:, None], self._layers
        if layers[0].over_time:
            layers = [layers[0].of(hidden), *layers[1:]]
        return torch.cat([_through(layers, chunk) for chunk in _chunks(layers, hidden)])

    def frames(self, samples: Tensor) -> Tensor:
        """How many frames so many samples give."""
        for layer in self._layers:
            samples = (samples - layer.kernel) // layer.stride + 1
        return samples

    def batch(self, waveforms: list[Tensor]) -> Tensor:
        """Features of waveforms, zero-padded, shape (rows, frames, channels)."""
        return nn.utils.rnn.pad_sequence([self(wave) for wave in waveforms], batch_first=True)


class _Layer:
    """A convolution with its normalisation and GELU, on frames as rows."""

    def __init__(self, layer: Any, by_numpy: bool) -> None:
        weight = layer.conv.weight.detach()
        channels, self._inputs, self.kernel = weight.shape
        self.stride = layer.conv.stride[0]
        self._weight = weight.permute(2, 1, 0).reshape(-1, channels).contiguous()
        self._bias = None if layer.conv.bias is None else layer.conv.bias.detach()
        self._norm: Any = getattr(layer, "layer_norm", None)
        self.over_time = isinstance(self._norm, nn.GroupNorm)
        self._by_numpy = by_numpy

    def of(self, hidden: Tensor) -> _Layer:
        """The layer for one waveform, its group norm taken into its weights.

        The mean and the variance of a channel over all frames are those of its inputs, (frames,
        inputs), seen through its weights; so no pass over all channels is needed.
        """
        frames = (len(hidden) - self.kernel) // self.stride + 1
        shape, strides = (frames, len(self._weight)), (self.stride * self._inputs, 1)
        windows = hidden.as_strided(shape, strides, hidden.storage_offset()).double()
        mean = windows.mean(0)
        windows -= mean
        weight = self._weight.double()
        variance = (weight * (windows.t() @ windows / frames @ weight)).sum(0)
        scale = self._norm.weight / (variance + self._norm.eps).sqrt()
        found = copy(self)
        found._weight = (weight * scale).float()
        # A bias of the convolution goes with the mean.
        found._bias = (self._norm.bias - mean @ weight * scale).float()
        found._norm, found.over_time = None, False
        return found

    def __call__(self, hidden: Tensor) -> Tensor:
        """From (frames, inputs), contiguous, to (frames, channels)."""
        frames = (len(hidden) - self.kernel) // self.stride + 1
        made = None
        # A window's first frames, as many as the stride, lie side by side in memory and overlap no
        # other window's; BLAS takes no rows that overlap, so the rest is a second product.
        for first in range(0, self.kernel, self.stride):
            width = min(self.stride, self.kernel - first) * self._inputs
            windows = hidden.as_strided(
                (frames, width),
                (self.stride * self._inputs, 1),
                hidden.storage_offset() + first * self._inputs,
            )
            weight = self._weight[first * self._inputs :][:width]
            product = multiply(windows, weight, by_numpy=self._by_numpy)
            made = product if made is None else made.add_(product)
        assert made is not None  # a kernel has a first frame
        if self._bias is not None:
            made += self._bias
        if self._norm is not None:
            norm = self._norm
            made = F.layer_norm(made, norm.normalized_shape, norm.weight, norm.bias, norm.eps)
        return F.gelu(made)


def _through(layers: list[_Layer], hidden: Tensor) -> Tensor:
    for layer in layers:
        hidden = layer(hidden)
    return hidden


def _chunks(layers: list[_Layer], hidden: Tensor) -> list[Tensor]:
    """Stretches of a layer's inputs that give `CHUNK` frames each, and all frames once."""
    field, hop = 1, 1
    for layer in reversed(layers):
        field, hop = (field - 1) * layer.stride + layer.kernel, hop * layer.stride
    frames = (len(hidden) - field) // hop + 1
    return [
        hidden[first * hop : (min(first + CHUNK, frames) - 1) * hop + field]
        for first in range(0, frames, CHUNK)
    ]


class PositionalConvolution:
    """wav2vec2's positional convolution by Fourier transforms: a tenth of the operations.

    Overlap-save (Oppenheim and Schafer, section 8.7.3); 128 taps over 16 groups of channels are the
    slowest part of torch's wav2vec2 for each of its operations.
    """

    SIZE = 512

    def __init__(self, convolution: nn.Conv1d) -> None:
        """Transform the weights, which must not change afterwards."""
        weight = convolution.weight.detach()
        self._taps, self._groups = weight.shape[2], convolution.groups
        self._padding = int(convolution.padding[0])
        self._bias = None if convolution.bias is None else convolution.bias.detach()
        per_group = weight.reshape(self._groups, -1, *weight.shape[1:])
        # Correlation, and not convolution: the conjugate. Shape (frequency, group, in, out).
        spectrum = torch.fft.rfft(per_group, self.SIZE).conj()
        self._spectrum = spectrum.permute(3, 0, 2, 1).contiguous()

    @classmethod
    def suits(cls, convolution: nn.Conv1d) -> bool:
        """Whether it is one, and short enough."""
        return (
            convolution.groups > 1
            and 32 <= convolution.kernel_size[0] < cls.SIZE // 2
            and convolution.stride == convolution.dilation == (1,)
            and isinstance(convolution.padding, tuple)
        )

    def __call__(self, values: Tensor) -> Tensor:
        """As the convolution: (rows, channels, frames) to (rows, channels, frames + 1 or so)."""
        rows, channels, frames = values.shape
        made = frames + 2 * self._padding - self._taps + 1
        step = self.SIZE - self._taps + 1
        blocks = -(-made // step)
        end = blocks * step + self._taps - 1 - frames - self._padding
        windows = F.pad(values, (self._padding, end)).unfold(-1, self.SIZE, step)
        spectra = torch.fft.rfft(windows)  # (rows, channels, blocks, frequencies)
        grouped = spectra.view(rows, self._groups, -1, blocks, spectra.shape[-1])
        left = grouped.permute(4, 1, 0, 3, 2).flatten(2, 3)  # frequency, group, row and block, in
        product = (left @ self._spectrum).unflatten(2, (rows, blocks))
        back = torch.fft.irfft(product.permute(2, 1, 4, 3, 0), self.SIZE)[..., :step]
        result: Tensor = back.reshape(rows, channels, blocks * step)[..., :made]
        return result if self._bias is None else result + self._bias[:, None]
