"""Checkpoints in the older layout, that of the package `qwen-asr`, read as transformers' layout.

In that layout (`Qwen/Qwen3-ASR-1.7B`) everything is nested in a `thinker`, and parameters have
other names than in transformers' layout (`Qwen/Qwen3-ASR-1.7B-hf`).
"""

from __future__ import annotations

from typing import Any

from transformers import PreTrainedConfig, Qwen3ASRConfig, Qwen3ASREncoderConfig, Qwen3Config

from asr_gate.corpus.errors import UserError

THINKER_NAMES = {
    r"^thinker\.audio_tower\.proj1\.": "model.multi_modal_projector.linear_1.",
    r"^thinker\.audio_tower\.proj2\.": "model.multi_modal_projector.linear_2.",
    r"^thinker\.audio_tower\.": "model.audio_tower.",
    r"^thinker\.model\.": "model.language_model.",
    r"^thinker\.lm_head\.": "lm_head.",
}
"""Patterns of the older layout's names, and what transformers has in their place; the first match
counts. As in transformers' own `convert_qwen3_asr_to_hf.py`."""

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
"""Entries that the configuration must have, because the older layout has other defaults."""

_COMMON = frozenset(PreTrainedConfig().to_dict())
"""Entries that every configuration has; they say nothing of the architecture."""

_MULTIMODAL_ROPE = ("mrope_section", "mrope_interleaved", "interleaved", "type")


def read_thinker(source: str, revision: str | None) -> dict[str, Any] | None:
    """The `thinker_config` of a checkpoint in the older layout; None: transformers' layout."""
    content, _ = PreTrainedConfig.get_config_dict(source, revision=revision)
    if not isinstance(content, dict):
        raise ValueError("config.json is not an object")
    thinker = content.get("thinker_config")
    return thinker if isinstance(thinker, dict) else None


def config_from_thinker(thinker: dict[str, Any], source: str) -> Qwen3ASRConfig:
    """Transformers' configuration for the `thinker_config` of the older layout.

    Its rotary embedding has three axes. With audio and text alone all three hold the same position,
    so it equals the plain rotary embedding.

    Raises:
        UserError: an entry is missing, or the checkpoint is a forced aligner.
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
    """The entries of `given` that belong to this architecture alone."""
    return {key: given[key] for key in kind().to_dict() if key in given and key not in _COMMON}
