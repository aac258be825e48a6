"""A NeMo CTC model as an ONNX export: `model.onnx` beside its `model_config.yaml`.

Features as NeMo's AudioToMelSpectrogramPreprocessor makes them: pre-emphasis, centred short-time
Fourier transform of a symmetric Hann window, power, Slaney mel bands, logarithm, each band brought
to zero mean and unit variance over the utterance.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from asr_gate.audit.acoustic.interface import AcousticModel, Emission, ModelInfo, Waveform
from asr_gate.audit.acoustic.onnx_session import open_session
from asr_gate.audit.acoustic.weights import sha256_of_files
from asr_gate.corpus.errors import UserError
from asr_gate.corpus.speech.spectrum import Floats, power_spectra, slaney_bands
from asr_gate.corpus.strict import read_yaml_text


class NemoModel(AcousticModel):
    """A NeMo CTC export; its convolutions are masked, so that padding changes nothing."""

    def __init__(self, folder: str, language: str | None, device: str) -> None:
        """Load the export.

        Raises:
            UserError: the folder lacks a file, or its configuration is of another kind.
        """
        root = Path(folder)
        weights, settings = root / "model.onnx", root / "model_config.yaml"
        for path in (weights, settings):
            if not path.is_file():
                raise UserError(
                    f"{path}: missing; a NeMo export is a folder with model.onnx and "
                    "model_config.yaml"
                )
        try:
            config = yaml.safe_load(read_yaml_text(settings))
            front = config["preprocessor"]
            vocabulary = [str(token) for token in config["decoder"]["vocabulary"]]
            blank = int(config["decoder"].get("blank", len(vocabulary)))
            rate = int(config["sample_rate"])
            stride = float(front["window_stride"]) * int(config["encoder_stride"])
            self._features = _Features(front, rate)
        except (yaml.YAMLError, KeyError, TypeError, ValueError, OSError) as error:
            raise UserError(f"{settings}: not a CTC export's configuration ({error!r})") from error
        self._session, self.device = open_session(weights, device)
        tokens = list(vocabulary)
        tokens.insert(blank, "<blank>")
        self.info = ModelInfo(
            name=f"nemo:{root.name}",
            revision=str(config.get("revision", config.get("target", "unknown"))),
            weights_sha256=sha256_of_files([weights, settings, *_others(root, weights, settings)]),
            language=str(config.get("language") or language or "und"),
            tokens=tuple(tokens),
            blank=blank,
            space=tokens.index(" ") if " " in tokens else None,
            stride=stride,
            sample_rate=rate,
            delay=float(config.get("delay", 0.0)),
        )
        self._hop = self._features.hop * int(config["encoder_stride"])

    def forward(self, waveforms: Sequence[Waveform]) -> list[Emission]:
        """Run one batch of features, zero-padded to the longest."""
        features = [self._features(wave) for wave in waveforms]
        lengths = np.array([f.shape[1] for f in features], dtype=np.int64)
        batch = np.zeros((len(features), features[0].shape[0], lengths.max()), dtype=np.float32)
        for row, feature in zip(batch, features, strict=True):
            row[:, : feature.shape[1]] = feature
        (output,) = self._session.run(None, {"audio_signal": batch, "length": lengths})
        stride = self._hop // self._features.hop
        return [
            np.ascontiguousarray(out[: -(-int(n) // stride)], dtype=np.float32)
            for out, n in zip(output, lengths, strict=True)
        ]


def _others(root: Path, weights: Path, settings: Path) -> list[Path]:
    """The other files of an export: a large ONNX model keeps its tensors in some of them."""
    found = (path for path in root.rglob("*") if path.is_file())
    return sorted(path for path in found if path not in (weights, settings))


class _Features:
    """Log-mel features of one waveform, shape (bands, frames)."""

    def __init__(self, front: Mapping[str, Any], rate: int) -> None:
        self._window_length = round(float(front["window_size"]) * rate)
        self.hop = round(float(front["window_stride"]) * rate)
        self._fft = int(front["n_fft"])
        self._preemphasis = float(front.get("preemph", 0.97))
        self._guard = float(front.get("log_zero_guard_value", 2**-24))
        if front.get("normalize", "per_feature") != "per_feature" or front.get("window") != "hann":
            raise ValueError("only per_feature normalisation and Hann windows are supported")
        self._window = np.hanning(self._window_length).astype(np.float32)
        self._mel = slaney_bands(self._fft, rate, int(front["features"]))

    def __call__(self, waveform: Waveform) -> Floats:
        half = self._fft // 2
        # Reflection needs more samples than half a window.
        samples = np.pad(waveform, (0, max(0, half + 1 - len(waveform))))
        emphasised = np.append(samples[:1], samples[1:] - self._preemphasis * samples[:-1])
        power = power_spectra(
            np.pad(emphasised, half, "reflect"), self._window, self._fft, self.hop
        )
        logs = np.log(self._mel @ power.T + self._guard)
        spread = logs.std(axis=1, ddof=1, keepdims=True) if logs.shape[1] > 1 else 0.0
        normal = (logs - logs.mean(axis=1, keepdims=True)) / (spread + 1e-5)
        return np.asarray(normal, dtype=np.float32)
