"""Builds the model: random and tiny, or from a checkpoint; unties the embeddings if so asked.

Checkpoints come in two layouts: that of transformers (`Qwen/Qwen3-ASR-1.7B-hf`), and the older one
of the package `qwen-asr` (`Qwen/Qwen3-ASR-1.7B`), where all is nested in a `thinker`. The names of
the second are turned into the first's while loading; both are saved in transformers' layout.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError
from transformers import (
    AutoConfig,
    GenerationConfig,
    PreTrainedConfig,
    Qwen2Tokenizer,
    Qwen3ASRConfig,
    Qwen3ASREncoderConfig,
    Qwen3ASRFeatureExtractor,
    Qwen3ASRForConditionalGeneration,
    Qwen3ASRProcessor,
    Qwen3Config,
)

from asr_gate.corpus.errors import UserError
from asr_gate.train import recipe
from asr_gate.train.tokenizer import AUDIO, AUDIO_END, AUDIO_START, CHAT_TEMPLATE, END_OF_TURN

HEADS = 4

THINKER_NAMES = {
    r"^thinker\.audio_tower\.proj1\.": "model.multi_modal_projector.linear_1.",
    r"^thinker\.audio_tower\.proj2\.": "model.multi_modal_projector.linear_2.",
    r"^thinker\.audio_tower\.": "model.audio_tower.",
    r"^thinker\.model\.": "model.language_model.",
    r"^thinker\.lm_head\.": "lm_head.",
}
"""Parameters of the older layout in transformers' names; the first pattern that fits counts. As in
transformers' own `convert_qwen3_asr_to_hf.py`."""

_SHAPE = {
    "audio_config": (
        "num_mel_bins",
        "encoder_layers",
        "encoder_attention_heads",
        "encoder_ffn_dim",
        "d_model",
        "output_dim",
        "n_window",
        "n_window_infer",
        "downsample_hidden_size",
    ),
    "text_config": (
        "vocab_size",
        "hidden_size",
        "intermediate_size",
        "num_hidden_layers",
        "num_attention_heads",
        "num_key_value_heads",
        "head_dim",
        "rope_theta",
        "tie_word_embeddings",
    ),
}
"""What the older layout's configuration must say: its defaults are others than transformers'."""

_COMMON = frozenset(PreTrainedConfig().to_dict())
"""Entries that every configuration has, and none of them the architecture."""

_MULTIMODAL_ROPE = ("mrope_section", "mrope_interleaved", "interleaved", "type")


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
    """The configuration of a checkpoint, of either layout: a hub id or a folder.

    Raises:
        UserError: not there, not reachable, or not of Qwen3-ASR.
    """
    try:
        with _quiet_hub():
            thinker = _thinker(source, revision)
            if thinker is not None:
                return _from_thinker(thinker, source)
            config = AutoConfig.from_pretrained(source, revision=revision, trust_remote_code=False)
    except (OSError, ValueError, StrictDataclassError) as error:
        raise _not_found(source, error) from error
    if not isinstance(config, Qwen3ASRConfig):
        raise UserError(f"{source}: holds a {config.model_type} model, not Qwen3-ASR")
    return config


def load_processor(source: str, revision: str | None) -> Qwen3ASRProcessor:
    """The processor of a checkpoint, of either layout; errors as in `load_config`."""
    try:
        with _quiet_hub():
            if _thinker(source, revision) is None:
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


def _thinker(source: str, revision: str | None) -> dict[str, Any] | None:
    """The `thinker_config` of a checkpoint in the older layout; None: it is in transformers'."""
    content, _ = PreTrainedConfig.get_config_dict(source, revision=revision)
    if not isinstance(content, dict):
        raise ValueError("config.json is not an object")
    thinker = content.get("thinker_config")
    return thinker if isinstance(thinker, dict) else None


def _from_thinker(thinker: dict[str, Any], source: str) -> Qwen3ASRConfig:
    """Transformers' configuration for an older one's `thinker_config`.

    The older one's rotary embedding has three axes; where there is audio and text alone, all of
    them hold the same position, and it is the plain one.

    Raises:
        UserError: a part is missing, or the checkpoint is a forced aligner.
    """
    if "classify_num" in thinker:
        raise UserError(f"{source}: holds Qwen3-ForcedAligner, which does not transcribe")
    given = {name: thinker.get(name) for name in _SHAPE}
    parts = {name: part if isinstance(part, dict) else {} for name, part in given.items()}
    missing = [
        f"{name}.{key}" for name, keys in _SHAPE.items() for key in keys if key not in parts[name]
    ]
    if missing:
        raise UserError(
            f"{source}: its config.json lacks {len(missing)} entries of thinker_config, first "
            f"{', '.join(missing[:3])}; download the checkpoint again"
        )
    audio, text = parts["audio_config"], parts["text_config"]
    scaling = text.get("rope_scaling") or {}
    rope = {key: value for key, value in scaling.items() if key not in _MULTIMODAL_ROPE}
    return Qwen3ASRConfig(
        audio_config=_known(Qwen3ASREncoderConfig, audio) | {"model_type": "qwen3_asr_encoder"},
        text_config=_known(Qwen3Config, text)
        | {
            "model_type": "qwen3",
            "rope_parameters": {"rope_type": "default", **rope, "rope_theta": text["rope_theta"]},
        },
        tie_word_embeddings=text["tie_word_embeddings"],
        **{key: thinker[key] for key in ("audio_token_id",) if key in thinker},
    )


def _known(kind: type[PreTrainedConfig], given: dict[str, Any]) -> dict[str, Any]:
    """The entries that this architecture has and others have not."""
    return {key: given[key] for key in kind().to_dict() if key in given and key not in _COMMON}


def build_on_meta(config: Qwen3ASRConfig, *, untie: bool) -> Qwen3ASRForConditionalGeneration:
    """The architecture without memory for its weights: names and sizes of parameters only."""
    with torch.device("meta"):
        # Untying changes the configuration, and the caller's is his own.
        model = Qwen3ASRForConditionalGeneration(copy.deepcopy(config))
    if untie:
        untie_embeddings(model)
    return model


def build_random(
    config: Qwen3ASRConfig, *, untie: bool, seed: int
) -> Qwen3ASRForConditionalGeneration:
    """A model with random weights that the seed decides, float32."""
    torch.manual_seed(seed)
    model = Qwen3ASRForConditionalGeneration(copy.deepcopy(config))
    model.generation_config = _greedy(config)
    if untie:
        untie_embeddings(model)
    return model


def _greedy(config: Qwen3ASRConfig) -> GenerationConfig:
    return GenerationConfig(
        eos_token_id=config.eos_token_id, pad_token_id=config.pad_token_id, do_sample=False
    )


def load_pretrained(
    source: str, revision: str | None, *, untie: bool
) -> Qwen3ASRForConditionalGeneration:
    """A checkpoint's model in float32; of either layout, from safetensors alone.

    Raises:
        UserError: no weights there, or weights that are not exactly the architecture's.
    """
    config = load_config(source, revision)
    try:
        with _quiet_hub():
            older = _thinker(source, revision) is not None
            model, report = Qwen3ASRForConditionalGeneration.from_pretrained(
                source,
                revision=revision,
                config=config,
                key_mapping=THINKER_NAMES if older else None,
                # The older layout's own has sampling's temperature without sampling.
                generation_config=_greedy(config) if older else None,
                dtype=torch.float32,
                use_safetensors=True,
                ignore_mismatched_sizes=True,  # they are told with the others, below
                output_loading_info=True,
            )
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise _not_found(source, error) from error
    # A missing weight would silently stay random.
    strays = {
        kind: sorted(map(str, report[kind]))
        for kind in ("missing_keys", "unexpected_keys", "mismatched_keys")
        if report.get(kind)
    }
    if strays:
        told = "; ".join(
            f"{len(keys)} {kind.replace('_', ' ')}, first {', '.join(keys[:3])}"
            for kind, keys in strays.items()
        )
        raise UserError(
            f"{source}: the weights do not fit Qwen3-ASR as transformers has it ({told})"
        )
    if older:
        # It would be saved under the names that it was loaded by, beside our configuration.
        del model._weight_conversions
    # A head that came with values of its own is not tied, whatever the configuration says.
    if untie or not is_tied(model):
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
        f"{source or repr(source)}: no usable Qwen3-ASR checkpoint {place} ({reason.rstrip('.')}); "
        "download one, e.g. Qwen/Qwen3-ASR-1.7B-hf, and name its folder (asr train: "
        "model.pretrained=FOLDER)"
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
