"""Any CTC model of the transformers library: `hf:OWNER/NAME` or `hf:FOLDER`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from audit.acoustic.interface import AcousticModel, Emission, ModelInfo, Waveform
from audit.acoustic.weights import pick_device, sha256_of_state
from corpus.errors import UserError


class HuggingFaceModel(AcousticModel):
    """A model that `AutoModelForCTC` loads, with the feature extractor and tokens beside it.

    Models whose feature extractor uses group norm read the padding of a batch; they get batches of
    equal lengths only. The others take an attention mask and are exact.
    """

    def __init__(self, name: str, language: str | None, device: str) -> None:
        """Load the model; only safetensors, never code from the hub.

        Raises:
            UserError: no such model, or it is not a CTC model with a character vocabulary.
        """
        from transformers import AutoFeatureExtractor, AutoModelForCTC, AutoTokenizer

        self._device = pick_device(device)
        try:
            self._extractor: Any = AutoFeatureExtractor.from_pretrained(name)
            tokenizer: Any = AutoTokenizer.from_pretrained(name)
            self._model: Any = AutoModelForCTC.from_pretrained(
                name, use_safetensors=True, trust_remote_code=False
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
        self._dtype = torch.float16 if self._device.type == "cuda" else torch.float32
        self.pads = getattr(config, "feat_extract_norm", "layer") != "group"
        rate = int(self._extractor.sampling_rate)
        self._spectral = "input_features" in self._extractor.model_input_names
        self.info = ModelInfo(
            name=f"hf:{Path(name).name if Path(name).is_dir() else name}",
            revision=str(getattr(config, "_commit_hash", None) or "local"),
            weights_sha256=sha256_of_state(self._model.state_dict()),
            language=language or "und",
            tokens=tuple(tokens),
            blank=int(config.pad_token_id if config.pad_token_id is not None else 0),
            space=space,
            stride=self._samples_a_frame(rate) / rate,
            sample_rate=rate,
            delay=0.0,
        )

    def _samples_a_frame(self, rate: int) -> int:
        """Samples from one frame to the next: from the convolutions, or measured."""
        strides = getattr(self._model.config, "conv_stride", None)
        if strides and not self._spectral:
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
        mask = inputs.get("attention_mask")
        if not self.pads:
            inputs.pop("attention_mask", None)  # equal lengths: nothing is padded
        with torch.autocast(self._device.type, self._dtype, self._device.type == "cuda"):
            logits = self._model(**inputs).logits.float()
        if self._spectral and mask is not None:
            # The model subsamples its features evenly: the share that is real stays real.
            share = mask.sum(1) / mask.shape[1]
            counts = [int(torch.ceil(s * logits.shape[1])) for s in share]
        else:
            counts = [
                int(self._model._get_feat_extract_output_lengths(torch.tensor(len(w))))
                for w in waveforms
            ]
        return [row[:count] for row, count in zip(logits, counts, strict=True)]

    def forward(self, waveforms: Sequence[Waveform]) -> list[Emission]:
        """Run one batch with an attention mask, or of equal lengths without one."""
        # The convolutions need one receptive field (25 ms); shorter sounds are padded with silence.
        least = self.info.sample_rate // 20
        padded = [np.pad(w, (0, max(0, least - len(w)))) for w in waveforms]
        return [
            np.asarray(row.log_softmax(-1).cpu().numpy(), dtype=np.float32)
            for row in self._logits(padded)
        ]
