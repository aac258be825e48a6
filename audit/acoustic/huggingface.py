"""Any CTC model of the transformers library: `hf:OWNER/NAME` or `hf:FOLDER`."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from asr_gate.audit.acoustic.interface import AcousticModel, Emission, ModelInfo, Waveform
from asr_gate.audit.acoustic.lineage import lineage
from asr_gate.audit.acoustic.torch_models import pick_device, sha256_of_state
from asr_gate.audit.records.report import LOCAL
from asr_gate.corpus.errors import UserError


class HuggingFaceModel(AcousticModel):
    """A model that `AutoModelForCTC` loads, with the feature extractor and tokens beside it.

    Models of the wav2vec2 family whose feature extractor uses layer norm take an attention mask and
    are exact. The others read the padding of a batch; they get batches of equal lengths only.
    """

    def __init__(self, name: str, language: str | None, device: str) -> None:
        """Load the model; only safetensors, never code from the hub.

        Raises:
            UserError: no such model, or it is not a CTC model with a character vocabulary.
        """
        from transformers import AutoFeatureExtractor, AutoModelForCTC, AutoTokenizer
        from transformers.utils.logging import disable_progress_bar

        disable_progress_bar()
        # What fails after its retries is told once, below.
        logging.getLogger("huggingface_hub").setLevel(logging.ERROR)
        self._device = pick_device(device)
        self.device = self._device.type
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
        # wav2vec2 and its kin with layer norm are known to be exact under a mask; of models whose
        # features or subsampling see the padding, batches of equal lengths are all that is.
        self.pads = getattr(config, "feat_extract_norm", None) == "layer"
        rate = int(self._extractor.sampling_rate)
        self.info = ModelInfo(
            name=f"hf:{Path(name).name if Path(name).is_dir() else name}",
            revision=str(getattr(config, "_commit_hash", None) or LOCAL),
            weights_sha256=sha256_of_state(self._model.state_dict()),
            language=language or "und",
            tokens=tuple(tokens),
            blank=int(config.pad_token_id if config.pad_token_id is not None else 0),
            space=space,
            stride=self._samples_a_frame(rate) / rate,
            sample_rate=rate,
            delay=0.0,
            trained=lineage(Path(name)) if Path(name).is_dir() else None,
        )

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
        if not self.pads:
            inputs.pop("attention_mask", None)  # equal lengths: nothing is padded
        # On a GPU only; see MmsModel.
        with torch.autocast("cuda", torch.float16, self._device.type == "cuda"):
            logits = self._model(**inputs).logits.float()
        if not self.pads:
            return list(logits)
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
