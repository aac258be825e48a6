"""The audio tower and the loss without waiting for the device."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
import torch
from torch import Tensor
from transformers import Qwen3ASREncoder, Qwen3ASREncoderConfig

from asr_gate.corpus.errors import UserError
from asr_gate.corpus.read import read_corpus
from asr_gate.train import recipes
from asr_gate.train.data.rows import Row
from asr_gate.train.families.qwen3_asr.audio_tower import ON_HOST, WINDOWED, audio_states, pack
from asr_gate.train.families.qwen3_asr.build import (
    build_on_meta,
    build_random,
    set_attention,
    tiny_config,
)
from asr_gate.train.families.qwen3_asr.encoder import IGNORE, PromptEncoder, audio_tokens, collate
from asr_gate.train.families.qwen3_asr.load import load_pretrained
from asr_gate.train.families.qwen3_asr.loss import TranscriptLoss
from asr_gate.train.families.qwen3_asr.older_layout import config_from_thinker
from asr_gate.train.model.arithmetic import moved
from tests.train.layouts import thinker_config

SHAPE = recipes.TinyModel(audio_layers=2, audio_width=16, text_layers=2, text_width=32)


@pytest.fixture(scope="module")
def tower() -> Qwen3ASREncoder:
    torch.manual_seed(1)
    config = Qwen3ASREncoderConfig(
        encoder_layers=2, encoder_attention_heads=4, d_model=32, encoder_ffn_dim=64,
        downsample_hidden_size=8,
    )  # fmt: skip
    return Qwen3ASREncoder(config).eval()


def mask_of(lengths: list[int]) -> Tensor:
    """The mask of rows with so many frames, padded as the processor does."""
    frames = -(-max(lengths) // 100) * 100
    return (torch.arange(frames) < torch.tensor(lengths)[:, None]).long()


@pytest.mark.parametrize("implementation", ["sdpa", "eager", WINDOWED])
def test_outputs_are_those_of_the_original(tower, implementation: str) -> None:
    generator = random.Random(1)
    tower.set_attn_implementation("sdpa")
    for most in (60, 99, 100, 101, 250, 801, 3000) * 3:
        lengths = [generator.randint(50, most) for _ in range(generator.randint(1, 6))]
        mask = mask_of(lengths)
        features = torch.randn(len(lengths), 128, mask.shape[1])
        with torch.no_grad():
            expected = tower(input_features=features, input_features_mask=mask).last_hidden_state
            tower.set_attn_implementation(implementation)
            found = audio_states(tower, features, **pack(tower, mask))
            tower.set_attn_implementation("sdpa")
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


def test_gradients_are_those_of_the_original(tower) -> None:
    mask = mask_of([50, 930, 1800])
    features = torch.randn(3, 128, mask.shape[1])
    found = []
    for states in (
        lambda: tower(input_features=features, input_features_mask=mask).last_hidden_state,
        lambda: audio_states(tower, features, **pack(tower, mask)),
    ):
        tower.zero_grad()
        states().square().sum().backward()
        found.append({name: p.grad.clone() for name, p in tower.named_parameters()})
        tower.set_attn_implementation(WINDOWED)
    tower.set_attn_implementation("sdpa")
    for name, gradient in found[0].items():
        scale = float(gradient.abs().max())
        torch.testing.assert_close(found[1][name], gradient, rtol=0, atol=1e-5 * max(scale, 1))


@pytest.fixture
def inputs(processor, manifest: Path) -> dict[str, Tensor]:
    encoder = PromptEncoder(processor, recipes.Data())
    rows = [Row(one, one.duration or 0.0, "English") for one in read_corpus([manifest]).utterances]
    return collate([encoder.read(row) for row in rows[:5]], pad_id=encoder.pad_id).inputs


def small(processor, attention: recipes.Attention = "sdpa") -> TranscriptLoss:
    model = build_random(tiny_config(SHAPE, processor), untie=True, seed=1)
    set_attention(model, attention)
    return TranscriptLoss(model)


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_losses_are_the_model_s_own_whatever_the_attention(attention, processor, inputs) -> None:
    plain = build_random(tiny_config(SHAPE, processor), untie=True, seed=1)
    expected = plain(**inputs, use_cache=False).loss
    expected.backward()
    objective = small(processor, attention)
    packed = objective.pack(inputs)
    assert "attention_mask" not in packed
    found = objective(**packed) / len(packed["loss_at"])
    found.backward()
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=0)
    for (name, one), other in zip(
        plain.named_parameters(), objective.model.parameters(), strict=True
    ):
        torch.testing.assert_close(other.grad, one.grad, rtol=1e-4, atol=1e-5, msg=name)


def test_evaluation_and_checkpoints_are_plain(processor, inputs, tmp_path: Path) -> None:
    """The name of our attention stays out of the checkpoint; transformers' own forward works."""
    model = small(processor).model
    plain = build_random(tiny_config(SHAPE, processor), untie=True, seed=1)
    with torch.no_grad():
        torch.testing.assert_close(model(**inputs).logits, plain(**inputs).logits)
    model.save_pretrained(tmp_path)
    assert WINDOWED not in (tmp_path / "config.json").read_text()
    assert load_pretrained(str(tmp_path), None, untie=True).config._attn_implementation == "sdpa"


def test_attention_that_is_not_installed_is_one_line(processor) -> None:
    with pytest.raises(UserError, match=r"model\.attention=flash_attention_2"):
        small(processor, "flash_attention_2")


def test_a_step_never_waits_for_the_device() -> None:
    """A tensor on the meta device has no values: whatever asked for one would fail.

    The shapes are those of the 1.7B, with fewer layers.
    """
    config = config_from_thinker(thinker_config("1.7B")["thinker_config"], "test")
    config.audio_config.encoder_layers = 2
    config.text_config.num_hidden_layers = 2
    config.text_config.layer_types = config.text_config.layer_types[:2]
    model = build_on_meta(config, untie=True)
    set_attention(model, "sdpa")
    objective = TranscriptLoss(model)
    frames = mask_of([430, 980, 2999])
    tokens = [audio_tokens((int(row.sum()) + 0.5) / 100) for row in frames]
    ids = torch.ones(3, max(tokens) + 40, dtype=torch.long)
    for row, count in zip(ids, tokens, strict=True):
        row[5 : 5 + count] = config.audio_token_id
    batch = {
        "input_ids": ids,
        "attention_mask": torch.ones_like(ids),
        "labels": torch.where(torch.arange(ids.shape[1]) < ids.shape[1] - 20, IGNORE, ids),
        "input_features": torch.zeros(3, 128, frames.shape[1]),
        "input_features_mask": frames,
    }
    packed = moved(objective.pack(batch), torch.device("meta"), objective.on_host)
    assert [name for name, one in packed.items() if not one.is_meta] == [ON_HOST]
    objective(**packed, weights=torch.ones(3, device="meta")).backward()
    assert all(parameter.grad is not None for parameter in model.lm_head.parameters())


def test_the_tower_s_attention_is_one_call_a_layer(
    processor, inputs, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []
    real = torch.nn.functional.scaled_dot_product_attention

    def counted(*arguments, **named):
        calls.append(arguments)
        return real(*arguments, **named)

    monkeypatch.setattr(torch.nn.functional, "scaled_dot_product_attention", counted)
    small(processor)(**inputs)
    assert len(calls) == SHAPE.audio_layers + SHAPE.text_layers


def test_audio_that_does_not_fit_the_prompt_is_an_error(processor, inputs) -> None:
    objective = small(processor)
    frames = inputs["input_features_mask"].clone()
    frames[0, 40:] = 0
    with pytest.raises(ValueError, match="placeholders"):
        objective.pack({**inputs, "input_features_mask": frames})
