"""The released checkpoints' configurations, and small checkpoints in both of their layouts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file
from transformers import Qwen3ASRForConditionalGeneration, Qwen3ASRProcessor

from asr_gate.train import recipes
from asr_gate.train.families.qwen3_asr.build import build_random, tiny_config

SMALL = recipes.TinyModel(audio_layers=2, audio_width=16, text_layers=2, text_width=32)


def thinker_config(size: str) -> dict[str, Any]:
    """`config.json` of Qwen/Qwen3-ASR-1.7B or Qwen/Qwen3-ASR-0.6B, as far as it says anything."""
    audio, text = {
        "1.7B": (
            {"encoder_layers": 24, "encoder_attention_heads": 16, "encoder_ffn_dim": 4096,
             "d_model": 1024, "output_dim": 2048},
            {"hidden_size": 2048, "intermediate_size": 6144},
        ),
        "0.6B": (
            {"encoder_layers": 18, "encoder_attention_heads": 14, "encoder_ffn_dim": 3584,
             "d_model": 896, "output_dim": 1024},
            {"hidden_size": 1024, "intermediate_size": 3072},
        ),
    }[size]  # fmt: skip
    return _older(
        audio
        | {"num_mel_bins": 128, "n_window": 50, "n_window_infer": 800,
           "downsample_hidden_size": 480},
        text
        | {"num_hidden_layers": 28, "num_attention_heads": 16, "num_key_value_heads": 8,
           "head_dim": 128, "vocab_size": 151936, "max_position_embeddings": 65536,
           "rope_theta": 1000000},
        audio_token_id=151676,
    )  # fmt: skip


def _older(audio: dict[str, Any], text: dict[str, Any], audio_token_id: int) -> dict[str, Any]:
    """The older layout around what differs, with some of the much that it repeats."""
    common = {"dtype": None, "id2label": {"0": "LABEL_0"}, "is_decoder": False, "top_k": 50}
    return {
        "architectures": ["Qwen3ASRForConditionalGeneration"],
        "model_type": "qwen3_asr",
        "support_languages": ["English", "Chinese"],
        "thinker_config": {
            "audio_config": common
            | {"model_type": "qwen3_asr_audio_encoder", "max_source_positions": 1500,
               "conv_chunksize": 500, "num_hidden_layers": audio["encoder_layers"],
               "activation_function": "gelu", "scale_embedding": False}
            | audio,
            "audio_start_token_id": 151669,
            "audio_end_token_id": 151670,
            "audio_token_id": audio_token_id,
            "initializer_range": 0.02,
            "model_type": "qwen3_asr",
            "text_config": common
            | {"model_type": "qwen3_asr_text", "tie_word_embeddings": True, "hidden_act": "silu",
               "attention_bias": False, "rms_norm_eps": 1e-6,
               "rope_scaling": {"interleaved": True, "mrope_interleaved": True, "type": "default",
                                "mrope_section": [24, 20, 20], "rope_type": "default"}}
            | text,
        },
        "transformers_version": "4.57.6",
    }  # fmt: skip


def write_small(
    folder: Path, processor: Qwen3ASRProcessor, seed: int = 1, shard: str = "50GB"
) -> Qwen3ASRForConditionalGeneration:
    """Write a small random model, embeddings tied, in transformers' layout; returns it."""
    model = build_random(tiny_config(SMALL, processor), untie=False, seed=seed)
    model.save_pretrained(folder, max_shard_size=shard)
    processor.save_pretrained(folder)
    return model


def older_name(name: str) -> str:
    """A parameter's name in the older layout."""
    for new, old in (
        ("model.multi_modal_projector.linear_1.", "thinker.audio_tower.proj1."),
        ("model.multi_modal_projector.linear_2.", "thinker.audio_tower.proj2."),
        ("model.audio_tower.", "thinker.audio_tower."),
        ("model.language_model.", "thinker.model."),
        ("lm_head.", "thinker.lm_head."),
    ):
        if name.startswith(new):
            return old + name.removeprefix(new)
    raise AssertionError(name)


def write_older(folder: Path, native: Path, *, head: bool = False) -> None:
    """Write a checkpoint of transformers' layout, sharded or not, in the older one.

    Args:
        head: write the tied output head too, as some checkpoints do.
    """
    folder.mkdir()
    for path in native.glob("*.safetensors"):
        weights = {older_name(name): tensor for name, tensor in load_file(path).items()}
        if head and "thinker.model.embed_tokens.weight" in weights:
            tied = weights["thinker.model.embed_tokens.weight"].clone()
            weights["thinker.lm_head.weight"] = tied
        save_file(weights, folder / path.name, metadata={"format": "pt"})
    index = native / "model.safetensors.index.json"
    if index.exists():
        content = json.loads(index.read_text())
        named = content["weight_map"].items()
        content["weight_map"] = {older_name(name): file for name, file in named}
        (folder / index.name).write_text(json.dumps(content))
    config = json.loads((native / "config.json").read_text())
    text = config["text_config"]
    text["rope_theta"] = text.pop("rope_parameters")["rope_theta"]
    older = _older(config["audio_config"], text, config["audio_token_id"])
    older["thinker_config"]["audio_config"]["model_type"] = "qwen3_asr_audio_encoder"
    older["thinker_config"]["text_config"]["model_type"] = "qwen3_asr_text"
    (folder / "config.json").write_text(json.dumps(older))
    _write_older_tokenizer(folder, native)


def _write_older_tokenizer(folder: Path, native: Path) -> None:
    """`vocab.json` and `merges.txt`, and a Whisper preprocessor that pads to 30 seconds."""
    whole = json.loads((native / "tokenizer.json").read_text(encoding="utf-8"))
    (folder / "vocab.json").write_text(json.dumps(whole["model"]["vocab"]), encoding="utf-8")
    merges = [one if isinstance(one, str) else " ".join(one) for one in whole["model"]["merges"]]
    (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *merges]), encoding="utf-8")
    settings = json.loads((native / "tokenizer_config.json").read_text(encoding="utf-8"))
    settings.pop("backend")
    settings["added_tokens_decoder"] = {
        str(token.pop("id")): token for token in (dict(one) for one in whole["added_tokens"])
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")
    (folder / "preprocessor_config.json").write_text(
        json.dumps(
            {"feature_extractor_type": "WhisperFeatureExtractor", "feature_size": 128,
             "hop_length": 160, "n_fft": 400, "n_samples": 480000, "nb_max_frames": 3000,
             "processor_class": "Qwen3ASRProcessor", "return_attention_mask": True}
        )
    )  # fmt: skip
    (folder / "chat_template.json").write_text(json.dumps({"chat_template": "{{ messages }}"}))
    (folder / "generation_config.json").write_text(
        json.dumps({"do_sample": False, "temperature": 1e-6, "repetition_penalty": 1.0})
    )
