"""torchaudio's MMS_FA: one forced aligner for over a thousand languages, on romanised text.

Pratap et al., "Scaling Speech Technology to 1,000+ Languages", 2023; weights under CC-BY-NC 4.0.
Its wav2vec2 uses layer norm and masks its attention, so that a padded batch gives what single
utterances give.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torchaudio
from torch import nn
from torch.nn import functional as F

from asr_gate.audit.acoustic.interface import (
    AcousticModel,
    Emission,
    ModelInfo,
    Precision,
    Waveform,
)
from asr_gate.audit.acoustic.torch_models import (
    in_eight_bits,
    lower_precision,
    pick_device,
    pick_precision,
    sha256_of_state,
)
from asr_gate.corpus.errors import UserError
from asr_gate.networks.processor import FeatureEncoder, prefer_numpy, quicken


class MmsModel(AcousticModel):
    """MMS_FA with uroman romanisation."""

    def __init__(
        self,
        language: str | None,
        device: str,
        network: nn.Module | None = None,
        precision: Precision = "auto",
    ) -> None:
        """Load the weights (1.2 GB, kept in torch's hub folder after the first time).

        Args:
            network: weights in place of the published ones, of the same architecture.
            precision: of the matrix products.

        Raises:
            UserError: the device has no such precision, or the weights cannot be downloaded.
        """
        bundle = torchaudio.pipelines.MMS_FA
        self._device = pick_device(device)
        self.device = self._device.type
        self._precision = pick_precision(precision, self._device)
        if network is None:
            try:
                # The bundle's wrapper brings a whole batch to one mean and variance, so that what
                # else is in a batch would change every emission; `forward` does it one by one.
                network = bundle.get_model(with_star=False).model
            except (OSError, RuntimeError) as error:
                raise UserError(
                    f"--aligner mms: the weights cannot be downloaded ({error}); connect once, "
                    "or name another aligner"
                ) from error
        self._model: Any = network.to(self._device).eval()
        tokens = bundle.get_labels(star=None)
        self.info = ModelInfo(
            name="mms",
            revision="MMS_FA",
            weights_sha256=sha256_of_state(self._model.state_dict()),
            language=language or "mul",
            tokens=tuple(tokens),
            blank=tokens.index("-"),
            space=None,
            precision=self._precision,
            stride=320 / bundle.sample_rate,
            sample_rate=int(bundle.sample_rate),
            delay=0.0,
            romanised=True,
        )
        self._encoder: FeatureEncoder | None = None
        if self._precision == "int8":
            self._model = in_eight_bits(self._model)
        if self.device == "cpu" and self._precision != "bfloat16":
            self._encoder = FeatureEncoder(self._model.feature_extractor, by_numpy=prefer_numpy())
            quicken(self._model)

    @torch.inference_mode()
    def forward(self, waveforms: Sequence[Waveform]) -> list[Emission]:
        """Run one batch, zero-padded, with the lengths as mask."""
        least = self.info.sample_rate // 20
        sounds = [torch.from_numpy(wave) for wave in waveforms]
        rows = [
            F.pad(F.layer_norm(sound, sound.shape), (0, max(0, least - len(sound))))
            for sound in sounds
        ]
        lengths = torch.tensor([len(row) for row in rows], device=self._device)
        if self._encoder is not None:
            features = self._encoder.batch(rows)
            frames = self._encoder.frames(lengths)
            # Equal lengths need no mask, and attention is faster without.
            masked = None if len(set(frames.tolist())) == 1 else frames
            logits = self._model.aux(self._model.encoder(features, masked))
        else:
            batch = nn.utils.rnn.pad_sequence(rows, batch_first=True).to(self._device)
            with lower_precision(self._device, self._precision):
                logits, frames = self._model(batch, lengths)
        return [
            np.asarray(row[:count].float().log_softmax(-1).cpu().numpy(), dtype=np.float32)
            for row, count in zip(logits, frames.tolist(), strict=True)
        ]
