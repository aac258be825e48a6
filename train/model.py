"""Builds the model: random and tiny, or from a checkpoint; unties the embeddings if so asked."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from transformers import (
    AutoConfig,
    GenerationConfig,
    Qwen3ASRConfig,
    Qwen3ASRForConditionalGeneration,
    Qwen3ASRProcessor,
)

from corpus.errors import UserError
from train import recipe
from train.tokenizer import AUDIO, END_OF_TURN

HEADS = 4


def tiny_config(shape: recipe.TinyModel, processor: Qwen3ASRProcessor) -> Qwen3ASRConfig:
    """Qwen3-ASR's architecture with few and narrow layers, for the processor's tokenizer."""
    vocabulary = processor.tokenizer.get_vocab()
    end = vocabulary[END_OF_TURN]
    return Qwen3ASRConfig(
        audio_config={
            "model_type": "qwen3_asr_encoder",
            "encoder_layers": shape.audio_layers,
            "encoder_attention_heads": HEADS,
            "d_model": shape.audio_width,
            "encoder_ffn_dim": 4 * shape.audio_width,
            "output_dim": shape.text_width,
            "downsample_hidden_size": 16,
        },
        text_config={
            "model_type": "qwen3",
            "vocab_size": len(vocabulary),
            "hidden_size": shape.text_width,
            "intermediate_size": 3 * shape.text_width,
            "num_hidden_layers": shape.text_layers,
            "num_attention_heads": HEADS,
            "num_key_value_heads": HEADS // 2,
            "head_dim": shape.text_width // HEADS,
            "max_position_embeddings": 8192,
            "tie_word_embeddings": True,
        },
        audio_token_id=vocabulary[AUDIO],
        eos_token_id=end,
        pad_token_id=end,
    )


def load_config(source: str, revision: str | None) -> Qwen3ASRConfig:
    """The configuration of a checkpoint: a hub id or a folder.

    Raises:
        UserError: not there, not reachable, or not of Qwen3-ASR in transformers' layout.
    """
    try:
        with _quiet_hub():
            config = AutoConfig.from_pretrained(source, revision=revision)
    except (OSError, ValueError) as error:
        raise _not_found(source, error) from error
    if not isinstance(config, Qwen3ASRConfig):
        raise UserError(f"{source}: holds a {config.model_type} model, not Qwen3-ASR")
    return config


def load_processor(source: str, revision: str | None) -> Qwen3ASRProcessor:
    """The processor of a checkpoint; errors as in `load_config`."""
    try:
        with _quiet_hub():
            return Qwen3ASRProcessor.from_pretrained(source, revision=revision)
    except (OSError, ValueError) as error:
        raise _not_found(source, error) from error


def build_on_meta(config: Qwen3ASRConfig, *, untie: bool) -> Qwen3ASRForConditionalGeneration:
    """The architecture without memory for its weights: names and sizes of parameters only."""
    with torch.device("meta"):
        model = Qwen3ASRForConditionalGeneration(config)
    if untie:
        untie_embeddings(model)
    return model


def build_random(
    config: Qwen3ASRConfig, *, untie: bool, seed: int
) -> Qwen3ASRForConditionalGeneration:
    """A model with random weights that the seed decides, float32."""
    torch.manual_seed(seed)
    model = Qwen3ASRForConditionalGeneration(config)
    model.generation_config = GenerationConfig(
        eos_token_id=config.eos_token_id, pad_token_id=config.pad_token_id, do_sample=False
    )
    if untie:
        untie_embeddings(model)
    return model


def load_pretrained(
    source: str, revision: str | None, *, untie: bool
) -> Qwen3ASRForConditionalGeneration:
    """A checkpoint's model in float32.

    Raises:
        UserError: no weights there, or weights that are not exactly the architecture's.
    """
    try:
        with _quiet_hub():
            model, report = Qwen3ASRForConditionalGeneration.from_pretrained(
                source, revision=revision, dtype=torch.float32, output_loading_info=True
            )
    except (OSError, ValueError, RuntimeError) as error:
        raise _not_found(source, error) from error
    # A missing weight would silently stay random.
    strays = {
        kind: sorted(map(str, report[kind]))
        for kind in ("missing_keys", "unexpected_keys", "mismatched_keys")
        if report.get(kind)
    }
    if strays:
        told = "; ".join(
            f"{len(keys)} {kind.replace('_', ' ')}, first {keys[0]}"
            for kind, keys in strays.items()
        )
        raise UserError(
            f"{source}: the weights do not fit Qwen3-ASR as transformers has it ({told})"
        )
    if untie:
        untie_embeddings(model)
    return model


def is_tied(model: Qwen3ASRForConditionalGeneration) -> bool:
    """Whether the output head and the word embeddings are one matrix."""
    return model.lm_head.weight is model.get_input_embeddings().weight


def untie_embeddings(model: Qwen3ASRForConditionalGeneration) -> None:
    """Give the output head a copy of the word embeddings, and say so in the configuration.

    Saved and loaded again, the model stays untied. Does nothing if it is already.
    """
    if is_tied(model):
        model.lm_head.weight = torch.nn.Parameter(model.lm_head.weight.detach().clone())
    model.config.tie_word_embeddings = False
    model.config.get_text_config().tie_word_embeddings = False


def _not_found(source: str, error: Exception) -> UserError:
    reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    place = "in this folder" if Path(source).is_dir() else "here or on the Hugging Face hub"
    return UserError(
        f"{source}: no usable Qwen3-ASR checkpoint {place} ({reason.rstrip('.')}); download one in "
        "transformers' layout, e.g. Qwen/Qwen3-ASR-1.7B-hf, and say model.pretrained=FOLDER"
    )


@contextmanager
def _quiet_hub() -> Iterator[None]:
    """Keep the hub client from printing each of its retries; the failure is told once, by us."""
    logger = logging.getLogger("huggingface_hub")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)
