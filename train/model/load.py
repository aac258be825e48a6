"""Loads checkpoints of Qwen3-ASR, in transformers' layout and in the older one.

Both become a model in transformers' layout, which is the only one that is saved.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError
from transformers import (
    AutoConfig,
    Qwen2Tokenizer,
    Qwen3ASRConfig,
    Qwen3ASRFeatureExtractor,
    Qwen3ASRForConditionalGeneration,
    Qwen3ASRProcessor,
)

from asr_gate.corpus.errors import UserError
from asr_gate.train.data.tokenizer import AUDIO, AUDIO_END, AUDIO_START, CHAT_TEMPLATE
from asr_gate.train.model.build import greedy, is_tied, untie_embeddings
from asr_gate.train.model.older_layout import THINKER_NAMES, config_from_thinker, read_thinker


def load_config(source: str, revision: str | None) -> Qwen3ASRConfig:
    """The configuration of a checkpoint in either layout.

    Args:
        source: folder, or id on the Hugging Face hub.
        revision: branch, tag or commit on the hub; None: the newest.

    Raises:
        UserError: not there, not reachable, or not a model of Qwen3-ASR.
    """
    try:
        with _quiet_hub():
            thinker = read_thinker(source, revision)
            if thinker is not None:
                return config_from_thinker(thinker, source)
            config = AutoConfig.from_pretrained(source, revision=revision, trust_remote_code=False)
    except (OSError, ValueError, StrictDataclassError) as error:
        raise _not_found(source, error) from error
    if not isinstance(config, Qwen3ASRConfig):
        raise UserError(f"{source}: holds a {config.model_type} model, not Qwen3-ASR")
    return config


def load_processor(source: str, revision: str | None) -> Qwen3ASRProcessor:
    """The processor of a checkpoint in either layout; errors as in `load_config`."""
    try:
        with _quiet_hub():
            if read_thinker(source, revision) is None:
                return Qwen3ASRProcessor.from_pretrained(
                    source, revision=revision, trust_remote_code=False
                )
            # The older layout names Whisper's feature extractor, which pads to 30 seconds, and
            # has no assistant's turn in its template; the tokenizer is the same.
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
    except (OSError, ValueError) as error:
        raise _not_found(source, error) from error


def load_pretrained(
    source: str, revision: str | None, *, untie: bool
) -> Qwen3ASRForConditionalGeneration:
    """The model of a checkpoint in either layout, in float32, read from safetensors only.

    Raises:
        UserError: no weights, or weights that do not fit the architecture exactly.
    """
    config = load_config(source, revision)
    try:
        with _quiet_hub():
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
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise _not_found(source, error) from error
    # Otherwise a missing weight would silently stay random.
    misfits = {
        kind: sorted(map(str, report[kind]))
        for kind in ("missing_keys", "unexpected_keys", "mismatched_keys")
        if report.get(kind)
    }
    if misfits:
        listed = "; ".join(
            f"{len(keys)} {kind.replace('_', ' ')}, first {', '.join(keys[:3])}"
            for kind, keys in misfits.items()
        )
        raise UserError(
            f"{source}: the weights do not fit Qwen3-ASR as transformers defines it ({listed})"
        )
    if older:
        # Otherwise it would be saved under the older names, beside our configuration.
        del model._weight_conversions
    # A head with values of its own is not tied, whatever the configuration says.
    if untie or not is_tied(model):
        untie_embeddings(model)
    return model


def _not_found(source: str, error: Exception) -> UserError:
    reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    where = "in this folder" if Path(source).is_dir() else "here or on the Hugging Face hub"
    return UserError(
        f"{source or repr(source)}: no usable Qwen3-ASR checkpoint {where} ({reason.rstrip('.')}); "
        "download one, e.g. Qwen/Qwen3-ASR-1.7B-hf, and name its folder (asr train: "
        "model.pretrained=FOLDER)"
    )


@contextmanager
def _quiet_hub() -> Iterator[None]:
    """Keep the hub client from printing each retry; the failure is reported once, by us."""
    logger = logging.getLogger("huggingface_hub")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)
