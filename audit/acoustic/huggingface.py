"""Any CTC model of the transformers library: `hf:OWNER/NAME` or `hf:FOLDER`."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from asr_gate.audit.acoustic.interface import (
    AcousticModel,
    Emission,
    ModelInfo,
    Precision,
    Waveform,
)
from asr_gate.audit.acoustic.lineage import heard, lineage
from asr_gate.audit.acoustic.torch_models import (
    in_eight_bits,
    lower_precision,
    pick_device,
    pick_precision,
    sha256_of_state,
)
from asr_gate.audit.records.report import LOCAL
from asr_gate.corpus.errors import UserError
from asr_gate.networks.features import exact_features, exact_when_padded, feature_encoder
from asr_gate.networks.processor import FeatureEncoder, prefer_numpy, quicken


class HuggingFaceModel(AcousticModel):
    """A model that `AutoModelForCTC` loads, with the feature extractor and tokens beside it.

    Models of the wav2vec2 family take an attention mask, and features that no padding changes. The
    others may read the padding of a batch; they get batches of equal lengths only.
    """

    def __init__(
        self, name: str, language: str | None, device: str, precision: Precision = "auto"
    ) -> None:
        """Load the model; only safetensors, never code from the hub.

        Raises:
            UserError: no such model, it is not a CTC model with a character vocabulary, or it or
                the device has no such precision.
        """
        from transformers import AutoFeatureExtractor, AutoModelForCTC, AutoTokenizer
        from transformers.utils.logging import disable_progress_bar

        disable_progress_bar()
        # What fails after its retries is told once, below.
        logging.getLogger("huggingface_hub").setLevel(logging.ERROR)
        self._device = pick_device(device)
        self.device = self._device.type
        self._precision = pick_precision(precision, self._device)
        if (name.startswith((".", "/", "~")) or name.count("/") > 1) and not Path(name).is_dir():
            raise UserError(f"--aligner hf:{name}: no such folder; check the path")
        try:
            self._extractor: Any = AutoFeatureExtractor.from_pretrained(name)
            tokenizer: Any = AutoTokenizer.from_pretrained(name)
            self._model: Any = AutoModelForCTC.from_pretrained(
                name, use_safetensors=True, trust_remote_code=False, dtype=torch.float32
            )
        # What the library raises for "no such model", "no network", "wrong kind", "bad file".
        except (OSError, ValueError, KeyError, ImportError, RuntimeError) as error:
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise UserError(
                f"--aligner hf:{name}: cannot be loaded ({reason}); "
                "name a folder or a hub id of a CTC model with safetensors weights"
            ) from error
        config = self._model.config
        vocabulary: dict[str, int] = tokenizer.get_vocab()
        columns = int(config.vocab_size)
        tokens = [f"<unused {i}>" for i in range(columns)]
        for token, column in vocabulary.items():
            if column < columns:
                tokens[column] = token
        delimiter = getattr(tokenizer, "word_delimiter_token", None)
        space = vocabulary.get(delimiter) if delimiter else vocabulary.get(" ")
        if space is not None:
            tokens[space] = " "
        self._model.to(self._device).eval()
        self.pads = exact_when_padded(config)
        rate = int(self._extractor.sampling_rate)
        self.info = ModelInfo(
            name=f"hf:{Path(name).name if Path(name).is_dir() else name}",
            revision=str(getattr(config, "_commit_hash", None) or LOCAL),
            weights_sha256=sha256_of_state(self._model.state_dict()),
            language=language or "und",
            tokens=tuple(tokens),
            blank=int(config.pad_token_id if config.pad_token_id is not None else 0),
            space=space,
            precision=self._precision,
            stride=self._samples_a_frame(rate) / rate,
            sample_rate=rate,
            delay=0.0,
            trained=lineage(Path(name)) if Path(name).is_dir() else None,
            heard=heard(Path(name)) if Path(name).is_dir() else None,
        )
        if self.pads:
            self._encoder = feature_encoder(self._model)
        self._alone: FeatureEncoder | None = None
        if self._precision == "int8":
            if config.model_type == "wavlm":
                raise UserError(
                    f"--precision int8: hf:{name} is a WavLM, whose attention has no int8; "
                    "leave it out"
                )
            self._model = in_eight_bits(self._model)
        if self.device == "cpu" and self._precision != "bfloat16":
            if self.pads:
                self._alone = FeatureEncoder(self._encoder, by_numpy=prefer_numpy())
            quicken(self._model)

    def _samples_a_frame(self, rate: int) -> int:
        """Samples from one frame to the next: from the convolutions, or measured."""
        strides = getattr(self._model.config, "conv_stride", None)
        if strides:
            return int(np.prod(strides))
        short, long = (self._logits([np.zeros(rate * s, np.float32)])[0].shape[0] for s in (4, 8))
        return round(4 * rate / (long - short))

    @torch.inference_mode()
    def _logits(self, waveforms: Sequence[Waveform]) -> list[torch.Tensor]:
        inputs = self._extractor(
            list(waveforms),
            sampling_rate=self._extractor.sampling_rate,
            padding=True,
            return_attention_mask=True,
            return_tensors="pt",
        ).to(self._device)
        mask = inputs.pop("attention_mask", None)
        if self.pads:
            inputs["input_values"] = self._features(inputs["input_values"], mask)
            # Equal lengths need no mask, and attention is faster without.
            inputs["attention_mask"] = None if mask.all() else mask
        with lower_precision(self._device, self._precision):
            logits = self._model(**inputs).logits.float()
        if not self.pads:
            return list(logits)  # equal lengths: nothing is padded
        counts = [
            int(self._model._get_feat_extract_output_lengths(torch.tensor(len(w))))
            for w in waveforms
        ]
        return [row[:count] for row, count in zip(logits, counts, strict=True)]

    def _features(self, values: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """What the feature encoder makes of each row as if alone, (rows, channels, frames)."""
        samples = mask.sum(-1)
        if self._alone is not None:
            rows = [row[:count] for row, count in zip(values, samples.tolist(), strict=True)]
            return self._alone.batch(rows).transpose(1, 2)
        with lower_precision(self._device, self._precision):
            return exact_features(self._encoder, values, samples)

    def forward(self, waveforms: Sequence[Waveform]) -> list[Emission]:
        """Run one batch with an attention mask, or of equal lengths without one."""
        # The convolutions need one receptive field (25 ms); shorter sounds are padded with silence.
        least = self.info.sample_rate // 20
        padded = [np.pad(w, (0, max(0, least - len(w)))) for w in waveforms]
        return [
            np.asarray(row.log_softmax(-1).cpu().numpy(), dtype=np.float32)
            for row in self._logits(padded)
        ]
