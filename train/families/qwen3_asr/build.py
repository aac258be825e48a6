"""Builds a model from a configuration: tiny, without weights, or with random weights."""

from __future__ import annotations

import copy

import torch
from transformers import (
    GenerationConfig,
    Qwen3ASRConfig,
    Qwen3ASRForConditionalGeneration,
    Qwen3ASRProcessor,
)

from asr_gate.corpus.errors import UserError
from asr_gate.train import recipes
from asr_gate.train.families.qwen3_asr.audio_tower import WINDOWED
from asr_gate.train.families.qwen3_asr.tokenizer import AUDIO, END_OF_TURN

HEADS = 4


def tiny_config(shape: recipes.TinyModel, processor: Qwen3ASRProcessor) -> Qwen3ASRConfig:
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


def build_on_meta(config: Qwen3ASRConfig, *, untie: bool) -> Qwen3ASRForConditionalGeneration:
    """The architecture without memory for its weights: only names and shapes of parameters."""
    with torch.device("meta"):
        # A copy, because untying changes the configuration.
        model = Qwen3ASRForConditionalGeneration(copy.deepcopy(config))
    if untie:
        untie_embeddings(model)
    return model


def build_random(
    config: Qwen3ASRConfig, *, untie: bool, seed: int
) -> Qwen3ASRForConditionalGeneration:
    """A model with random float32 weights that depend on the seed."""
    torch.manual_seed(seed)
    model = Qwen3ASRForConditionalGeneration(copy.deepcopy(config))
    model.generation_config = greedy(config)
    if untie:
        untie_embeddings(model)
    return model


def set_attention(model: Qwen3ASRForConditionalGeneration, name: recipes.Attention) -> None:
    """Choose how attention is computed, in both towers.

    Raises:
        UserError: what it needs is not installed.
    """
    try:
        model.set_attn_implementation(name)
    except (ImportError, ValueError, OSError) as error:
        raise UserError(
            f"model.attention={name}: not available here ({str(error).splitlines()[0]}); "
            "model.attention=sdpa always is"
        ) from error
    if name == "sdpa":
        model.model.audio_tower.set_attn_implementation(WINDOWED)


def greedy(config: Qwen3ASRConfig) -> GenerationConfig:
    """Settings of greedy decoding."""
    return GenerationConfig(
        eos_token_id=config.eos_token_id, pad_token_id=config.pad_token_id, do_sample=False
    )


def is_tied(model: Qwen3ASRForConditionalGeneration) -> bool:
    """Whether the output head and the word embeddings are the same matrix."""
    return model.lm_head.weight is model.get_input_embeddings().weight


def untie_embeddings(model: Qwen3ASRForConditionalGeneration) -> None:
    """Give the output head its own copy of the word embeddings, and note it in the configuration.

    The model stays untied when it is saved and loaded. An untied model is left as it is.
    """
    if is_tied(model):
        model.lm_head.weight = torch.nn.Parameter(model.lm_head.weight.detach().clone())
    model.config.tie_word_embeddings = False
    model.config.get_text_config().tie_word_embeddings = False
