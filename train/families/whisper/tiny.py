"""A small Whisper with random weights, and a tokenizer learnt from the transcripts of a corpus."""

from __future__ import annotations

import json
from collections.abc import Iterable

from transformers import (
    GenerationConfig,
    WhisperConfig,
    WhisperFeatureExtractor,
    WhisperProcessor,
    WhisperTokenizer,
)
from transformers.models.whisper.tokenization_whisper import LANGUAGES

from asr_gate.train import recipes
from asr_gate.train.families.interface import Source
from asr_gate.train.families.whisper.checkpoint import (
    END,
    NO_TIMESTAMPS,
    START,
    STRIDE,
    TRANSCRIBE,
    TRANSLATE,
    source_of,
)

HEADS = 4
MOST_DECODER_TOKENS = 448
"""As in the released models."""
SPACE = "Ġ"
"""How byte-level tokenizers write a space."""


def tiny_source(shape: recipes.TinyWhisper, texts: Iterable[str]) -> Source:
    """A multilingual Whisper with few and narrow layers.

    Args:
        shape: of the recipe.
        texts: transcripts that the tokenizer learns from.
    """
    tokenizer = build_tokenizer(texts, shape.vocabulary)
    features = WhisperFeatureExtractor(feature_size=shape.mel_bins, chunk_length=shape.window)
    known = tokenizer.get_vocab()
    end = known[END]
    positions = features.nb_max_frames // STRIDE
    config = WhisperConfig(
        vocab_size=len(tokenizer),
        num_mel_bins=shape.mel_bins,
        d_model=shape.width,
        encoder_layers=shape.audio_layers,
        decoder_layers=shape.text_layers,
        encoder_attention_heads=HEADS,
        decoder_attention_heads=HEADS,
        encoder_ffn_dim=4 * shape.width,
        decoder_ffn_dim=4 * shape.width,
        max_source_positions=positions,
        max_target_positions=MOST_DECODER_TOKENS,
        decoder_start_token_id=known[START],
        bos_token_id=end,
        eos_token_id=end,
        pad_token_id=end,
        begin_suppress_tokens=None,
    )
    generation = GenerationConfig(
        max_length=MOST_DECODER_TOKENS,
        bos_token_id=end,
        pad_token_id=end,
        # As in the released models: a transcript neither ends at once nor begins with a blank.
        begin_suppress_tokens=[known[SPACE], end],
        is_multilingual=True,
    )
    return source_of(
        "tiny random Whisper", config, WhisperProcessor(features, tokenizer), generation
    )


def build_tokenizer(texts: Iterable[str], vocabulary: int) -> WhisperTokenizer:
    """Whisper's tokenizer with merges learnt from `texts`, and without timestamps.

    It can encode any text, because the 256 single bytes are always in the vocabulary.

    Args:
        texts: transcripts to learn merges from.
        vocabulary: largest number of tokens, special ones not counted.
    """
    from tokenizers import Tokenizer, models, trainers
    from tokenizers.pre_tokenizers import ByteLevel

    learner = Tokenizer(models.BPE())
    # With a space before the first word, as transcripts are encoded.
    learner.pre_tokenizer = ByteLevel(add_prefix_space=True)
    learner.train_from_iterator(
        texts,
        trainers.BpeTrainer(
            vocab_size=vocabulary,
            initial_alphabet=sorted(ByteLevel.alphabet()),
            show_progress=False,
        ),
    )
    learnt = json.loads(learner.to_str())["model"]
    return WhisperTokenizer(
        vocab=learnt["vocab"],
        merges=[tuple(merge) for merge in learnt["merges"]],
        # One id for padding and end, as in the released models: labels must not rely on ids.
        pad_token=END,
        # In this order: transformers counts the languages from the start token on.
        extra_special_tokens=[
            START,
            *(f"<|{code}|>" for code in LANGUAGES),
            TRANSLATE,
            TRANSCRIBE,
            "<|startoflm|>",
            "<|startofprev|>",
            "<|nospeech|>",
            NO_TIMESTAMPS,
        ],
    )
