"""The network of the embedded acoustic model: a small English character CTC.

An audit runs it as `model.onnx`, which `recipes.embedded.onnx_file` made of it.

Depthwise-separable convolutions with masks by length, as in QuartzNet (Kriman et al. 2020,
arXiv:1910.10261); the trunk runs at half the output's frame rate and is upsampled at the end, as in
Squeezeformer (Kim et al. 2022, arXiv:2206.00888); what a phone classifier in the middle sees is fed
back into the trunk, as in self-conditioned CTC (Nozaki & Komatsu 2021, arXiv:2104.02724).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
import torchaudio
from numpy.typing import NDArray
from torch import Tensor, nn

from asr_gate.embedded import files
from asr_gate.embedded.encoding import FFT, HOP, SAMPLE_RATE, TOKENS, WINDOW

# fmt: off
PHONES = (
    "sil", "aa", "ae", "ah", "ao", "aw", "ay", "b", "ch", "d", "dh", "eh", "er", "ey", "f", "g",
    "hh", "ih", "iy", "jh", "k", "l", "m", "n", "ng", "ow", "oy", "p", "r", "s", "sh", "t", "th",
    "uh", "uw", "v", "w", "y", "z", "zh",
)
# fmt: on

MELS = 80


@dataclass(frozen=True)
class Shape:
    """Widths and depths of the network; the defaults are those of the committed weights."""

    stem: int = 256
    trunk: int = 352
    kernels: tuple[int, ...] = (9, 9, 11, 11, 13, 13, 15)
    """One residual block of two convolutions each, at 40 ms a frame."""
    phones_after: int = 4
    """Trunk blocks before the phone classifier."""
    dropout: float = 0.0


def length_mask(lengths: Tensor, size: int) -> Tensor:
    """(batch,) lengths to (batch, size) floats: 1 inside, 0 in the padding."""
    return (torch.arange(size, device=lengths.device)[None] < lengths[:, None]).float()


def halve(lengths: Tensor) -> Tensor:
    """Frames that a convolution of stride 2 with 'same' padding leaves."""
    return (lengths + 1) // 2


class LogMel(nn.Module):
    """Log-mel energies, 25 ms windows centred every 10 ms, of level-normalised speech."""

    window: Tensor
    filters: Tensor

    def __init__(self) -> None:
        super().__init__()
        filters = torchaudio.functional.melscale_fbanks(
            FFT // 2 + 1, 20.0, SAMPLE_RATE / 2, MELS, SAMPLE_RATE
        )
        self.register_buffer("window", torch.hann_window(WINDOW), persistent=False)
        self.register_buffer("filters", filters, persistent=False)

    def forward(self, waveforms: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """(batch, samples) and their lengths to (batch, frames, mels) and frame counts."""
        waveforms = waveforms * length_mask(lengths, waveforms.shape[1])
        power = waveforms.square().sum(1, keepdim=True) / lengths.clamp(min=1)[:, None]
        waveforms = waveforms * (0.1 / (power.sqrt() + 1e-5))
        # Zeros on both sides, not reflections: those would depend on the batch's padding.
        padded = F.pad(waveforms, (FFT // 2, FFT))
        spectrum = torch.stft(
            padded, FFT, HOP, WINDOW, self.window, center=False, return_complex=True
        )
        frames = lengths // HOP + 1
        power = spectrum.abs().square().transpose(1, 2)[:, : int(frames.max())]
        return self.mel(power, frames), frames

    def mel(self, power: Tensor, frames: Tensor) -> Tensor:
        """(batch, frames, FFT / 2 + 1) power spectra to (batch, frames, mels)."""
        energies = torch.log(power @ self.filters + 1e-4)
        return energies * length_mask(frames, power.shape[1])[..., None]


def standardise(mel: Tensor, frames: Tensor) -> Tensor:
    """Zero mean and about unit deviation for every mel band of every utterance, over its frames."""
    mask = length_mask(frames, mel.shape[1])[..., None]
    count = mask.sum(1, keepdim=True).clamp(min=1)
    centred = (mel - (mel * mask).sum(1, keepdim=True) / count) * mask
    # The constant keeps bands without contrast from being blown up into noise.
    return centred / ((centred.square().sum(1, keepdim=True) / count).sqrt() + 0.3)


class Separable(nn.Module):
    """Masked depthwise convolution over time, then a 1x1 convolution and batch normalisation."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(
            inputs, inputs, (1, kernel), (1, stride), (0, kernel // 2), groups=inputs, bias=False
        )
        self.pointwise = nn.Conv2d(inputs, outputs, 1, bias=False)
        self.norm = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """(batch, inputs, 1, frames) to (batch, outputs, 1, frames / stride)."""
        y: Tensor = self.norm(self.pointwise(self.depthwise(x * mask)))
        return y


class Block(nn.Module):
    """Two separable convolutions with a residual connection."""

    def __init__(self, width: int, kernel: int, dropout: float) -> None:
        super().__init__()
        self.first = Separable(width, width, kernel)
        self.second = Separable(width, width, kernel)
        self.dropout = dropout

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        y = F.relu(x + self.second(F.relu(self.first(x, mask)), mask))
        return F.dropout(y, self.dropout, self.training)


class EmbeddedNet(nn.Module):
    """Waveform to log-probabilities over `TOKENS`, one frame every 20 ms."""

    def __init__(self, shape: Shape | None = None) -> None:
        super().__init__()
        shape = shape or Shape()
        self.shape = shape
        self.card: dict[str, Any] = {}
        """What `model.json` says of it."""
        self.features = LogMel()
        self.stem = nn.Conv2d(MELS, shape.stem, (1, 7), (1, 2), (0, 3), bias=False)
        self.stem_norm = nn.BatchNorm2d(shape.stem)
        self.fine = Block(shape.stem, 7, shape.dropout)
        self.down = Separable(shape.stem, shape.trunk, 7, stride=2)
        self.trunk = nn.ModuleList(Block(shape.trunk, k, shape.dropout) for k in shape.kernels)
        # Each trunk frame classifies the two fine frames under it.
        self.phones = nn.Conv2d(shape.trunk, 2 * len(PHONES), 1)
        self.feedback = nn.Conv2d(2 * len(PHONES), shape.trunk, 1)
        self.up = nn.Conv2d(shape.trunk, 2 * shape.stem, 1)
        self.last = Separable(shape.stem, shape.stem, 9)
        self.output = nn.Conv2d(shape.stem, len(TOKENS), 1)

    def logits(self, mel: Tensor, frames: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Standardised (batch, frames, mels) to token and phone logits and their frame counts.

        Both have one row every 20 ms: (batch, frames / 2, tokens), (batch, frames / 2, phones).
        """
        mel_mask = length_mask(frames, mel.shape[1])[:, None, None]
        x = mel.transpose(1, 2).unsqueeze(2).contiguous(memory_format=torch.channels_last)
        fine = F.relu(self.stem_norm(self.stem(x * mel_mask)))
        lengths = halve(frames)
        fine_mask = length_mask(lengths, fine.shape[-1])[:, None, None]
        fine = self.fine(fine, fine_mask)
        x = F.relu(self.down(fine, fine_mask))
        mask = length_mask(halve(lengths), x.shape[-1])[:, None, None]
        phones = x
        for number, block in enumerate(self.trunk, 1):
            x = block(x, mask)
            if number == self.shape.phones_after:
                phones = self.phones(x)
                x = x + self.feedback(split(phones).softmax(1).flatten(1, 2).unsqueeze(2))
        x = merge(split(self.up(x)), fine.shape[-1])
        x = F.relu(self.last(F.relu(fine + x), fine_mask))
        tokens = self.output(x)[:, :, 0].transpose(1, 2)
        return tokens, merge(split(phones), fine.shape[-1])[:, :, 0].transpose(1, 2), lengths

    @torch.inference_mode()
    def emit(self, waveforms: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """(batch, samples) at 16 kHz and (batch,) sample counts to log-probabilities.

        Returns float32 (batch, frames, tokens) and (batch,) frame counts. An utterance's rows are
        the same whatever it is batched with; rows beyond its frame count mean nothing.
        """
        lengths = lengths.to(waveforms.device)
        mel, frames = self.features(waveforms.float(), lengths)
        tokens, _, counts = self.logits(standardise(mel, frames), frames)
        return tokens.log_softmax(-1), counts


def split(x: Tensor) -> Tensor:
    """(batch, 2 * channels, 1, frames) to (batch, channels, 2, frames)."""
    batch, channels, _, frames = x.shape
    return x.view(batch, 2, channels // 2, frames).transpose(1, 2)


def merge(x: Tensor, size: int) -> Tensor:
    """(batch, channels, 2, frames) to (batch, channels, 1, size): pairs laid out in time."""
    return x.transpose(2, 3).flatten(2)[..., :size].unsqueeze(2)


def shape_dict(shape: Shape) -> dict[str, Any]:
    """The shape as `model.json` stores it."""
    return {**asdict(shape), "kernels": list(shape.kernels)}


def build(shape: Shape, weights: Mapping[str, NDArray[np.float16]]) -> EmbeddedNet:
    """A network with these weights in single precision, ready to `emit`.

    Args:
        shape: of the network.
        weights: by their names, each flat.

    Raises:
        ValueError: they do not fit the shape.
    """
    net = EmbeddedNet(shape)
    # Batch normalisation counts its batches in integers that nothing here reads.
    wanted = {n: t for n, t in net.state_dict().items() if t.is_floating_point()}
    if wanted.keys() != weights.keys():
        raise ValueError(f"other weights: {sorted(wanted.keys() ^ weights.keys())}")
    for name, tensor in wanted.items():
        tensor.copy_(torch.from_numpy(weights[name].astype(np.float32)).view_as(tensor))
    return net.eval()


def load(folder: Path = files.SHIPPED) -> EmbeddedNet:
    """The network of a folder with `model.onnx` and `model.json`, ready to `emit`.

    Raises:
        UserError: as `files.read`.
    """
    return net_of(files.read(folder))


def net_of(found: files.Files) -> EmbeddedNet:
    """The network of a model that was read."""
    net = build(Shape(), found.weights())
    net.card = found.card.model_dump(mode="json")
    return net
