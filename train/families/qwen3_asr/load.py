"""Loads checkpoints of Qwen3-ASR, in transformers' layout and in the older one.

Both become a model in transformers' layout, which is the only one that is saved.
"""

from __future__ import annotations

from contextlib import AbstractContextManager

import torch
from transformers import (
    AutoConfig,
    Qwen2Tokenizer,
    Qwen3ASRConfig,
    Qwen3ASRFeatureExtractor,
    Qwen3ASRForConditionalGeneration,
    Qwen3ASRProcessor,
)

from asr_gate.corpus.errors import UserError
from asr_gate.train.families.qwen3_asr.build import greedy, is_tied, untie_embeddings
from asr_gate.train.families.qwen3_asr.older_layout import (
    THINKER_NAMES,
    config_from_thinker,
    read_thinker,
)
from asr_gate.train.families.qwen3_asr.tokenizer import (
    AUDIO,
    AUDIO_END,
    AUDIO_START,
    CHAT_TEMPLATE,
)
from asr_gate.train.model.hub import reading, require_exact


def load_config(source: str, revision: str | None) -> Qwen3ASRConfig:
    """The configuration of a checkpoint in either layout.

    Args:
        source: folder, or id on the Hugging Face hub.
        revision: branch, tag or commit on the hub; None: the newest.

    Raises:
        UserError: not there, not reachable, or not a model of Qwen3-ASR.
    """
    with _reading(source):
        thinker = read_thinker(source, revision)
        if thinker is not None:
            return config_from_thinker(thinker, source)
        config = AutoConfig.from_pretrained(source, revision=revision, trust_remote_code=False)
    if not isinstance(config, Qwen3ASRConfig):
        raise UserError(f"{source}: holds a {config.model_type} model, not Qwen3-ASR")
    return config


def load_processor(source: str, revision: str | None) -> Qwen3ASRProcessor:
    """The processor of a checkpoint in either layout; errors as in `load_config`."""
    with _reading(source):
        if read_thinker(source, revision) is None:
            return Qwen3ASRProcessor.from_pretrained(
                source, revision=revision, trust_remote_code=False
            )
        # The older layout names Whisper's feature extractor, which pads to 30 seconds, and has no
        # assistant's turn in its template; the tokenizer is the same.
        return Qwen3ASRProcessor(
            feature_extractor=Qwen3ASRFeatureExtractor(),
            tokenizer=Qwen2Tokenizer.from_pretrained(
                source,
                revision=revision,
                audio_token=AUDIO,
                audio_bos_token=AUDIO_START,
                audio_eos_token=AUDIO_END,
            ),
            chat_template=CHAT_TEMPLATE,
        )


def load_pretrained(
    source: str, revision: str | None, *, untie: bool
) -> Qwen3ASRForConditionalGeneration:
    """The model of a checkpoint in either layout, in float32, read from safetensors only.

    Raises:
        UserError: no weights, or weights that do not fit the architecture exactly.
    """
    config = load_config(source, revision)
    with _reading(source):
        older = read_thinker(source, revision) is not None
        model, report = Qwen3ASRForConditionalGeneration.from_pretrained(
            source,
            revision=revision,
            config=config,
            key_mapping=THINKER_NAMES if older else None,
            # That of the older layout sets a temperature without sampling.
            generation_config=greedy(config) if older else None,
            dtype=torch.float32,
            use_safetensors=True,
            ignore_mismatched_sizes=True,  # reported with the others, below
            output_loading_info=True,
        )
    require_exact(source, "Qwen3-ASR", report)
    if older:
        # Otherwise it would be saved under the older names, beside our configuration.
        del model._weight_conversions
    # A head with values of its own is not tied, whatever the configuration says.
    if untie or not is_tied(model):
        untie_embeddings(model)
    return model


def _reading(source: str) -> AbstractContextManager[None]:
    return reading(source, "Qwen3-ASR", "Qwen/Qwen3-ASR-1.7B-hf")
