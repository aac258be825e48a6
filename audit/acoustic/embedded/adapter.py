"""Adapter of the embedded model."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from asr_gate.audit.acoustic.embedded.network import CARD, WEIGHTS, load
from asr_gate.audit.acoustic.interface import AcousticModel, Emission, ModelInfo, Waveform
from asr_gate.audit.acoustic.weights import pick_device, sha256_of_files


class EmbeddedModel(AcousticModel):
    """The small English model that ships with the project; for demos, tests and CI."""

    def __init__(self, device: str) -> None:
        """Load the weights beside this file."""
        self._device = pick_device(device)
        self.device = self._device.type
        self._network = load(self._device)
        card = self._network.card
        # A small model is surer of itself than it is right: temperature scaling (Guo et al., 2017)
        # brings its posteriors to where the policy's thresholds mean what they say.
        self._temperature = float(card["temperature"])
        tokens = tuple(card["tokens"])
        self.info = ModelInfo(
            name="embedded",
            revision=str(card["revision"]),
            weights_sha256=sha256_of_files([WEIGHTS, CARD]),
            language="en",
            tokens=tokens,
            blank=int(card["blank"]),
            space=tokens.index(" "),
            stride=float(card["stride"]),
            sample_rate=int(card["sample_rate"]),
            delay=float(card["delay"]),
            temperature=self._temperature,
        )

    @torch.inference_mode()
    def forward(self, waveforms: Sequence[Waveform]) -> list[Emission]:
        """Run one batch, zero-padded to the longest; the network masks the padding."""
        lengths = torch.tensor([len(w) for w in waveforms])
        batch = torch.zeros(len(waveforms), int(lengths.max()))
        for row, wave in zip(batch, waveforms, strict=True):
            row[: len(wave)] = torch.from_numpy(wave)
        logs, frames = self._network.emit(batch.to(self._device), lengths)
        scaled = (logs.float() / self._temperature).log_softmax(-1).cpu().numpy()
        return [
            np.ascontiguousarray(row[:count]) for row, count in zip(scaled, frames, strict=True)
        ]
