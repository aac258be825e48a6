"""Adapter of the embedded model, a small English character CTC that needs no download.

`recipes/embedded` says what the network is and how it was trained. The file holds it from power
spectra to logits.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from asr_gate.audit.acoustic.interface import AcousticModel, Emission, ModelInfo, Waveform
from asr_gate.audit.acoustic.onnx_session import open_session
from asr_gate.audit.acoustic.spectrum import Floats, power_spectra
from asr_gate.audit.acoustic.weights import sha256_of_files

WEIGHTS = Path(__file__).with_name("model.onnx")
CARD = Path(__file__).with_name("model.json")

HOP, FFT = 160, 512
WINDOW = np.hanning(401)[:-1].astype(np.float32)
"""25 ms; periodic."""


class EmbeddedModel(AcousticModel):
    """The small English model that ships with the project; for demos, tests and CI."""

    def __init__(self, device: str) -> None:
        """Load the weights beside this file."""
        self._session, self.device = open_session(WEIGHTS, device)
        card = json.loads(CARD.read_text("utf-8"))
        # A small model is surer of itself than it is right: temperature scaling (Guo et al., 2017)
        # brings its posteriors to where the policy's thresholds mean what they say.
        self._temperature = np.float32(card["temperature"])
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
            temperature=float(card["temperature"]),
        )

    def forward(self, waveforms: Sequence[Waveform]) -> list[Emission]:
        """Run one batch of spectra, zero-padded to the longest; the network masks the padding."""
        spectra = [_spectra(wave) for wave in waveforms]
        frames = np.array([len(spectrum) for spectrum in spectra], dtype=np.int64)
        batch = np.zeros((len(spectra), int(frames.max()), FFT // 2 + 1), dtype=np.float32)
        for row, spectrum in zip(batch, spectra, strict=True):
            row[: len(spectrum)] = spectrum
        (logits,) = self._session.run(None, {"power": batch, "frames": frames})
        return [
            _log_softmax(row[: (int(count) + 1) // 2] / self._temperature)
            for row, count in zip(logits, frames, strict=True)
        ]


def _spectra(waveform: Waveform) -> Floats:
    """Power spectra of level-normalised speech, (frames, FFT / 2 + 1), centred every 10 ms."""
    level = np.sqrt(np.mean(np.square(waveform)))
    normal = waveform * (np.float32(0.1) / (level + np.float32(1e-5)))
    # Zeros on both sides, not reflections, which would depend on the padding of a batch.
    end = len(waveform) // HOP * HOP + FFT // 2 - len(waveform)
    return power_spectra(np.pad(normal, (FFT // 2, end)), WINDOW, FFT, HOP)


def _log_softmax(logits: Emission) -> Emission:
    shifted = logits - logits.max(axis=-1, keepdims=True)
    return np.asarray(
        shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True)), dtype=np.float32
    )
