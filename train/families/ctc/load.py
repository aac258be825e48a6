"""Loads and builds encoders with a CTC head."""

from __future__ import annotations

import copy
from contextlib import AbstractContextManager
from typing import Any

import torch
from transformers import (
    AutoConfig,
    AutoFeatureExtractor,
    AutoModelForCTC,
    AutoTokenizer,
    Wav2Vec2Config,
    Wav2Vec2FeatureExtractor,
)

from asr_gate.corpus.errors import UserError
from asr_gate.train import recipes
from asr_gate.train.families.ctc.vocabulary import Vocabulary
from asr_gate.train.model.hub import reading, require_exact

KINDS = (
    "data2vec-audio",
    "hubert",
    "unispeech",
    "unispeech-sat",
    "wav2vec2",
    "wav2vec2-bert",
    "wavlm",
)
"""As `model_type` in config.json. The others of `AutoModelForCTC` have batch norms, which learn
from the padding, or other vocabularies than letters."""

NEW_HEAD = ("lm_head.", "masked_spec_embed")
"""Parts of the names that a checkpoint without a head, or with another, may lack."""

HEADS = 4


def load_config(source: str, revision: str | None) -> Any:
    """The configuration of a checkpoint.

    Raises:
        UserError: not there, not reachable, or of another kind.
    """
    with _reading(source):
        config = AutoConfig.from_pretrained(source, revision=revision, trust_remote_code=False)
    if config.model_type not in KINDS:
        raise UserError(
            f"{source}: holds a {config.model_type} model; of those with a CTC head these can be "
            f"trained: {', '.join(KINDS)}"
        )
    return config


def load_extractor(source: str, revision: str | None) -> Any:
    """What turns samples into the model's input; errors as in `load_config`."""
    with _reading(source):
        return AutoFeatureExtractor.from_pretrained(
            source, revision=revision, trust_remote_code=False
        )


def load_vocabulary(
    source: str, revision: str | None, config: Any, adapter: str | None
) -> Vocabulary:
    """The vocabulary of a checkpoint.

    Raises:
        UserError: as in `load_config`, or it is no vocabulary of letters.
    """
    named = {} if adapter is None else {"target_lang": adapter}
    with _reading(source):
        tokenizer = AutoTokenizer.from_pretrained(
            source, revision=revision, trust_remote_code=False, **named
        )
        # A language's own vocabulary is not as large as the configuration says.
        size = len(tokenizer.encoder) if adapter else config.vocab_size
        blank = tokenizer.pad_token_id if adapter else config.pad_token_id
        return Vocabulary.of(tokenizer, -1 if blank is None else blank, size, source)


def fitted(config: Any, vocabulary: Vocabulary) -> Any:
    """A copy of a configuration for a vocabulary; with what would make a run unrepeatable off."""
    fitting = copy.deepcopy(config)
    fitting.vocab_size = len(vocabulary.tokens)
    fitting.pad_token_id = vocabulary.blank
    # A layer that is left out has no gradient, and other processes would wait for it.
    fitting.layerdrop = 0.0
    # data2vec-audio's configuration does not have it, and the model takes that for True.
    fitting.apply_spec_augment = getattr(fitting, "apply_spec_augment", True)
    return fitting


def load_model(
    source: str,
    revision: str | None,
    config: Any,
    *,
    new_head: bool,
    adapter: str | None = None,
    seed: int = 0,
) -> Any:
    """The model of a checkpoint in float32, read from safetensors only.

    Args:
        source: folder, or id on the Hugging Face hub.
        revision: branch, tag or commit on the hub; None: the newest.
        config: from `fitted`.
        new_head: whether the checkpoint's head, if it has one, is left, for a new one.
        adapter: language whose adapters and head are loaded (MMS).
        seed: decides the values of a new head.

    Raises:
        UserError: no weights, or weights that do not fit the architecture exactly.
    """
    named = {} if adapter is None or new_head else {"target_lang": adapter}
    torch.manual_seed(seed)
    with _reading(source):
        model, report = AutoModelForCTC.from_pretrained(
            source,
            revision=revision,
            config=config,
            dtype=torch.float32,
            use_safetensors=True,
            trust_remote_code=False,
            ignore_mismatched_sizes=True,  # reported with the others, below
            output_loading_info=True,
            **named,
        )
        if adapter is not None and new_head:
            _load_adapter(model, adapter)
    if new_head:
        # Whatever else a checkpoint holds, such as the quantizer of the pre-training, is not used.
        report = {
            kind: [one for one in map(str, report[kind]) if not any(n in one for n in NEW_HEAD)]
            for kind in ("missing_keys", "mismatched_keys")
        }
        _new_head(model, seed)
    elif adapter is not None:
        # The head of the language takes the place of the checkpoint's own.
        report = {**report, "mismatched_keys": []}
    require_exact(source, "an encoder with a CTC head", report)
    return model


def _load_adapter(model: Any, language: str) -> None:
    """Load the adapters of a language, and not its head."""
    head, config = model.lm_head, copy.deepcopy(model.config)
    model.load_adapter(language, use_safetensors=True)
    model.lm_head, model.config.vocab_size = head, config.vocab_size


def _new_head(model: Any, seed: int) -> None:
    """Random values by the seed, whatever was loaded before."""
    generator = torch.Generator().manual_seed(seed)
    head = model.lm_head
    torch.nn.init.normal_(head.weight, std=model.config.initializer_range, generator=generator)
    torch.nn.init.zeros_(head.bias)


def tiny(shape: recipes.TinyCtc, vocabulary: Vocabulary) -> tuple[Wav2Vec2Config, Any]:
    """wav2vec 2.0's architecture with few and narrow layers, and its feature extractor."""
    config = Wav2Vec2Config(
        hidden_size=shape.width,
        num_hidden_layers=shape.layers,
        num_attention_heads=HEADS,
        intermediate_size=2 * shape.width,
        conv_dim=(shape.width,) * 7,
        conv_bias=True,
        feat_extract_norm="layer",
        do_stable_layer_norm=True,
        num_conv_pos_embeddings=16,
        num_conv_pos_embedding_groups=HEADS,
        hidden_dropout=0.0,
        attention_dropout=0.0,
        activation_dropout=0.0,
        final_dropout=0.0,
        mask_time_prob=0.0,
    )
    extractor = Wav2Vec2FeatureExtractor(return_attention_mask=True)
    return fitted(config, vocabulary), extractor


def _reading(source: str) -> AbstractContextManager[None]:
    return reading(source, "CTC", "facebook/w2v-bert-2.0")
