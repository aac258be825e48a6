"""What a checkpoint of Whisper is, and how it is loaded."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass

import torch
from transformers import (
    AutoConfig,
    GenerationConfig,
    WhisperConfig,
    WhisperForConditionalGeneration,
    WhisperProcessor,
)
from transformers.utils import GENERATION_CONFIG_NAME, cached_file

from asr_gate.corpus.errors import UserError
from asr_gate.corpus.utterance import Seconds
from asr_gate.train.families.interface import Source
from asr_gate.train.model.hub import reading, require_exact

START = "<|startoftranscript|>"
TRANSCRIBE = "<|transcribe|>"
TRANSLATE = "<|translate|>"
NO_TIMESTAMPS = "<|notimestamps|>"
END = "<|endoftext|>"
ENGLISH_ONLY = 51_864
"""Size of the vocabulary of released English-only models; multilingual ones have more tokens."""
STRIDE = 2
"""Mel frames of an encoder position."""


@dataclass(frozen=True)
class Description:
    """The architecture, and how its transcripts are written."""

    config: WhisperConfig
    generation: GenerationConfig
    """As `decoding` completes it."""

    @property
    def window(self) -> int:
        """Encoder positions of every row."""
        return int(self.config.max_source_positions)

    @property
    def most_decoder_tokens(self) -> int:
        """Of prompt, transcript and end token together."""
        return int(self.config.max_target_positions)


def window_seconds(processor: WhisperProcessor) -> Seconds:
    """How long the audio is that the model hears at once; shorter audio is padded to it."""
    return float(processor.feature_extractor.chunk_length)


def source_of(title: str, config: WhisperConfig, processor: WhisperProcessor,
              generation: GenerationConfig) -> Source:  # fmt: skip
    """A checkpoint or a tiny model, checked.

    Raises:
        UserError: the tokenizer is not Whisper's, or the features are not those of the model.
    """
    known = processor.tokenizer.get_vocab()
    for token in (START, TRANSCRIBE, NO_TIMESTAMPS, END):
        if token not in known:
            raise UserError(f"{title}: the tokenizer has no {token}: it is not Whisper's tokenizer")
    features = processor.feature_extractor
    made = features.feature_size, features.nb_max_frames
    heard = config.num_mel_bins, STRIDE * config.max_source_positions
    if made != heard:
        raise UserError(
            f"{title}: preprocessor_config.json makes {made[0]} mel bins and {made[1]} frames, the "
            f"model hears {heard[0]} and {heard[1]}: take both files from one checkpoint"
        )
    description = Description(config, decoding(generation, config, processor))
    return Source(
        title,
        description,
        processor,
        tokens=len(processor.tokenizer),
        most_tokens=description.window + description.most_decoder_tokens,
    )


def decoding(
    generation: GenerationConfig, config: WhisperConfig, processor: WhisperProcessor
) -> GenerationConfig:
    """The settings of decoding, complete and as transformers 5 reads them; changed in place.

    Released checkpoints say by `forced_decoder_ids` that they transcribe, which transformers now
    gives up; and what was fine-tuned before 2023 says neither tasks nor languages.
    """
    known = processor.tokenizer.get_vocab()
    if getattr(generation, "is_multilingual", None) is None:
        generation.is_multilingual = config.vocab_size != ENGLISH_ONLY
    generation.no_timestamps_token_id = known[NO_TIMESTAMPS]
    generation.decoder_start_token_id = known[START]
    generation.eos_token_id = known[END]
    generation.return_timestamps = False
    generation.forced_decoder_ids = None
    config.forced_decoder_ids = None
    if generation.is_multilingual:
        if not getattr(generation, "lang_to_id", None):
            generation.lang_to_id = languages(processor)
        if not getattr(generation, "task_to_id", None):
            generation.task_to_id = {"transcribe": known[TRANSCRIBE], "translate": known[TRANSLATE]}
        generation.task = "transcribe"
    return generation


def languages(processor: WhisperProcessor) -> dict[str, int]:
    """The tokens of languages, `<|en|>`, and their ids."""
    from transformers.models.whisper.tokenization_whisper import LANGUAGES

    known = processor.tokenizer.get_vocab()
    return {name: known[name] for code in LANGUAGES if (name := f"<|{code}|>") in known}


def load_source(checkpoint: str, revision: str | None) -> Source:
    """What a checkpoint is.

    Args:
        checkpoint: folder, or id on the Hugging Face hub.
        revision: branch, tag or commit on the hub; None: the newest.

    Raises:
        UserError: not there, not reachable, or not a checkpoint of Whisper.
    """
    with _reading(checkpoint):
        config = AutoConfig.from_pretrained(checkpoint, revision=revision, trust_remote_code=False)
        if not isinstance(config, WhisperConfig):
            raise UserError(f"{checkpoint}: holds a {config.model_type} model, not Whisper")
        processor = WhisperProcessor.from_pretrained(
            checkpoint, revision=revision, trust_remote_code=False
        )
        generation = (
            GenerationConfig.from_pretrained(checkpoint, revision=revision)
            if _has_generation_settings(checkpoint, revision)
            else GenerationConfig.from_model_config(config)
        )
    return source_of(checkpoint, plain(config), processor, generation)


def load_pretrained(
    checkpoint: str, revision: str | None, source: Source
) -> WhisperForConditionalGeneration:
    """The model of a checkpoint, in float32, read from safetensors only.

    Args:
        checkpoint: folder or hub id.
        revision: as in `load_source`.
        source: of the checkpoint.

    Raises:
        UserError: no weights, or weights that do not fit the architecture exactly.
    """
    description: Description = source.config
    with _reading(checkpoint):
        model, report = WhisperForConditionalGeneration.from_pretrained(
            checkpoint,
            revision=revision,
            config=description.config,
            dtype=torch.float32,
            use_safetensors=True,
            ignore_mismatched_sizes=True,  # reported with the others, below
            output_loading_info=True,
        )
    require_exact(checkpoint, "Whisper", report)
    model.generation_config = description.generation
    return model


def plain(config: WhisperConfig) -> WhisperConfig:
    """Without what draws from numpy's random numbers or leaves layers out; changed in place.

    The trainer has SpecAugment of its own, whose random numbers a resumed run draws again; and
    every process has to compute every layer.
    """
    config.apply_spec_augment = False
    config.encoder_layerdrop = config.decoder_layerdrop = 0.0
    return config


def _has_generation_settings(checkpoint: str, revision: str | None) -> bool:
    """Whether there are any; checkpoints of 2022 have none."""
    found = cached_file(
        checkpoint,
        GENERATION_CONFIG_NAME,
        revision=revision,
        _raise_exceptions_for_missing_entries=False,
    )
    return found is not None


def _reading(checkpoint: str) -> AbstractContextManager[None]:
    return reading(checkpoint, "Whisper", "openai/whisper-small")
