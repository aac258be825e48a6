"""What every training of the network shares: features, targets, and the card that it leaves.

Batch normalisation keeps its statistics, as little speech is trained on at a time: so a row's
output does not depend on the other rows of its batch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from asr_gate.corpus.text.letters import spell
from asr_gate.embedded import files
from asr_gate.embedded.augment import Augment, Batch
from asr_gate.embedded.encoding import TOKENS, encode, spectra
from asr_gate.embedded.network import EmbeddedNet, LogMel, Shape, standardise

KEPT = ("tokens", "language", "delay", "temperature")
"""What the card of a trained model has from the one that its training began with."""
HISTORY = ("revision", "data", "trained", "began_with")
"""What it says of that one."""

SILENCE = -9.0
"""Log-mel energy of digital silence."""


class TrainedNet(EmbeddedNet):
    """The network, with the statistics of its batch normalisation frozen."""

    def train(self, mode: bool = True) -> Self:
        """Batch normalisation stays in evaluation mode."""
        super().train(mode)
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()
        return self


def trainable(net: EmbeddedNet) -> TrainedNet:
    """A network with the same weights that can be trained."""
    found = TrainedNet(net.shape)
    found.load_state_dict(net.state_dict())
    found.card = net.card
    return found


def on_meta() -> TrainedNet:
    """Names and shapes of the parameters, without memory."""
    # Moved there, since the mel filters cannot be computed there.
    return TrainedNet(Shape()).to("meta")


class Features:
    """Log-mel energies of waveforms, unchanged or as if recorded elsewhere by somebody else."""

    def __init__(self) -> None:
        self._mel = LogMel()
        self._augment: Augment | None = None

    @torch.no_grad()
    def of(self, samples: NDArray[np.float32]) -> Tensor:
        """Of a waveform of shape (n,) at 16 kHz, as an audit computes them: (frames, mels)."""
        power = torch.from_numpy(spectra(samples))[None]
        return self._mel.mel(power, torch.tensor([power.shape[1]]))[0]

    @torch.no_grad()
    def changed(self, mel: Tensor, letters: int, *, seed: int, strength: float) -> Tensor:
        """Speed, vocal tract, room, noise and masks, drawn by the seed alone.

        Args:
            mel: from `of`.
            letters: of the text, which bound the speed.
            seed: of the draw.
            strength: 0 to 1.

        Returns:
            Standardised, shape (frames, mels), of another length.
        """
        if self._augment is None:
            self._augment = Augment(0)
        self._augment.generator.manual_seed(seed)
        frames = torch.tensor([len(mel)])
        none = torch.full((1, len(mel)), -1)
        batch = self._augment(
            Batch(mel[None].clone(), frames, none, none, torch.tensor([letters])), strength
        )
        standard = standardise(batch.mel, batch.frames)
        return self._augment.mask(standard, batch.frames, strength)[0]


def standard(mel: Tensor) -> Tensor:
    """Features of one row as the network takes them: (frames, mels)."""
    return standardise(mel[None], torch.tensor([len(mel)]))[0]


def targets(text: str, language: str | None, tokens: Sequence[str] = TOKENS) -> list[int] | None:
    """Tokens of a transcript, with numbers read out; None: it has letters that no token is for."""
    words = spell(text, tokens[1:-1], language=language).words
    letters = [letter for word in words for letter in word.letters]
    if not letters or None in letters:
        return None
    return encode(" ".join("".join(filter(None, word.letters)) for word in words), tokens)


def frames_needed(tokens: list[int]) -> int:
    """Frames of output without which CTC cannot write these tokens: one each, and one between
    two that are the same."""
    return len(tokens) + sum(a == b for a, b in pairwise(tokens))


def pad(rows: list[Tensor], value: float = 0.0) -> tuple[Tensor, Tensor]:
    """Rows of several lengths as one tensor, (rows, longest, …), and their lengths."""
    padded = nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=value)
    return padded, torch.tensor([len(row) for row in rows])


def trained_card(before: Mapping[str, Any], **about: Any) -> dict[str, Any]:
    """What `model.json` says of a trained model.

    Args:
        before: the card of the model that the training began with.
        about: what else to say.
    """
    kept = {name: before[name] for name in KEPT if name in before}
    history = {name: before[name] for name in HISTORY if name in before}
    return {**kept, **about, "began_with": history}


def halved(weights: Mapping[str, Tensor]) -> dict[str, files.Half]:
    """Weights as `files.write` takes them; batch normalisation's counts stay behind."""
    return {
        name: tensor.detach().cpu().half().numpy().ravel()
        for name, tensor in weights.items()
        if tensor.is_floating_point()
    }
