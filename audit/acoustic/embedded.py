"""Adapter of the embedded model, a small English character CTC that needs no download.

`recipes/embedded` says what the network is and how it was trained. The file holds it from power
spectra to logits.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from asr_gate.audit.acoustic.interface import AcousticModel, Emission, ModelInfo, Waveform
from asr_gate.audit.acoustic.lineage import heard, lineage
from asr_gate.audit.acoustic.onnx_session import open_session
from asr_gate.embedded import files
from asr_gate.embedded.encoding import FFT, frames_out, spectra


def open_embedded(folder: str, device: str, language: str | None = None) -> EmbeddedModel:
    """A model that ships with the project, or a trained one.

    Args:
        folder: of a trained one; empty: the one that ships with the project for the language.
        device: `auto`, `cpu` or `cuda`.
        language: code or English name; English where none is for it.

    Raises:
        UserError: the folder holds no model of this network.
    """
    if not folder:
        return EmbeddedModel(files.read(files.shipped(language)), device)
    path = Path(folder)
    return EmbeddedModel(files.read(path), device, f"embedded:{path.name}", path)


class EmbeddedModel(AcousticModel):
    """The small English model that ships with the project, or one trained from it."""

    def __init__(
        self,
        found: files.Files,
        device: str,
        name: str = "embedded",
        folder: Path | None = None,
    ) -> None:
        """Load a model.

        Args:
            found: its files.
            device: `auto`, `cpu` or `cuda`.
            name: of the model in reports.
            folder: that it lies in, if a run of `asr train` may have made it.
        """
        card = found.card
        self.files = found
        self._session, self.device = open_session(found.graph, device)
        # A small model is surer of itself than it is right: temperature scaling (Guo et al., 2017)
        # brings its posteriors to where the policy's thresholds mean what they say.
        self._temperature = np.float32(card.temperature)
        self.info = ModelInfo(
            name=name,
            revision=card.revision,
            weights_sha256=found.sha256,
            language=card.language,
            tokens=card.tokens,
            blank=card.blank,
            space=card.tokens.index(" "),
            stride=card.stride,
            sample_rate=card.sample_rate,
            delay=card.delay,
            temperature=card.temperature,
            trained=lineage(folder) if folder else None,
            heard=heard(folder) if folder else None,
        )

    def forward(self, waveforms: Sequence[Waveform]) -> list[Emission]:
        """Run one batch of spectra, zero-padded to the longest; the network masks the padding."""
        inputs = [spectra(wave) for wave in waveforms]
        frames = np.array([len(power) for power in inputs], dtype=np.int64)
        batch = np.zeros((len(inputs), int(frames.max()), FFT // 2 + 1), dtype=np.float32)
        for row, power in zip(batch, inputs, strict=True):
            row[: len(power)] = power
        (logits,) = self._session.run(None, {"power": batch, "frames": frames})
        return [
            _log_softmax(row[: frames_out(int(count))] / self._temperature)
            for row, count in zip(logits, frames, strict=True)
        ]


def _log_softmax(logits: Emission) -> Emission:
    shifted = logits - logits.max(axis=-1, keepdims=True)
    return np.asarray(
        shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True)), dtype=np.float32
    )
