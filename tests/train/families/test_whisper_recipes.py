"""Whisper's recipes on the released models' architectures, and what their batches take."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from transformers import GenerationConfig, WhisperConfig, WhisperForConditionalGeneration

from asr_gate.train import recipes
from asr_gate.train.families.interface import Source
from asr_gate.train.families.whisper import memory
from asr_gate.train.families.whisper.checkpoint import Description
from asr_gate.train.families.whisper.family import Whisper
from asr_gate.train.model.layers import set_gradient_checkpointing
from asr_gate.train.model.lora import add_adapters
from asr_gate.train.model.parameter_groups import count_parameters, match
from asr_gate.train.prepare import memory_needs
from asr_gate.train.recipes import RecipeError

COMMON = {
    "model_type": "whisper", "architectures": ["WhisperForConditionalGeneration"],
    "activation_function": "gelu", "activation_dropout": 0.0, "attention_dropout": 0.0,
    "dropout": 0.0, "encoder_layerdrop": 0.0, "decoder_layerdrop": 0.0, "init_std": 0.02,
    "max_source_positions": 1500, "max_target_positions": 448, "scale_embedding": False,
    "is_encoder_decoder": True, "use_cache": True, "bos_token_id": 50257, "eos_token_id": 50257,
    "pad_token_id": 50257, "decoder_start_token_id": 50258, "begin_suppress_tokens": [220, 50257],
}  # fmt: skip
PUBLISHED: dict[str, dict[str, Any]] = {
    "whisper-small": {
        "vocab_size": 51865, "num_mel_bins": 80, "d_model": 768,
        "encoder_layers": 12, "encoder_attention_heads": 12, "encoder_ffn_dim": 3072,
        "decoder_layers": 12, "decoder_attention_heads": 12, "decoder_ffn_dim": 3072,
        "forced_decoder_ids": [[1, 50259], [2, 50359], [3, 50363]],
    },
    "whisper-large-v3-turbo": {
        "vocab_size": 51866, "num_mel_bins": 128, "d_model": 1280,
        "encoder_layers": 32, "encoder_attention_heads": 20, "encoder_ffn_dim": 5120,
        "decoder_layers": 4, "decoder_attention_heads": 20, "decoder_ffn_dim": 5120,
    },
}  # fmt: skip
"""`config.json` of openai/whisper-small and openai/whisper-large-v3-turbo, without what is for
decoding alone."""
PARAMETERS = {"whisper-small": 241_734_912, "whisper-large-v3-turbo": 808_878_080}
"""Of the published weights, the encoder's fixed positions included."""


@cache
def released(name: str) -> WhisperForConditionalGeneration:
    """The architecture of a released model, on the meta device."""
    config = WhisperConfig(**COMMON, **PUBLISHED[name])
    description = Description(config, GenerationConfig(is_multilingual=True))
    source = Source(name, description, None, tokens=0, most_tokens=0)
    return Whisper().on_meta(source, recipes.load(name)[1].model)


def matched(name: str, *overrides: str) -> dict[str, dict[str, set[str]]]:
    """The names that each group of a recipe trains, by phase."""
    phases = match(released(name), recipes.load(name, overrides)[1].phases, Whisper().hint)
    return {
        phase: {group.name: set(group.parameters) for group in groups}
        for phase, groups in phases.items()
    }


@pytest.mark.parametrize("name", PUBLISHED)
def test_names_and_counts_of_the_released_models(name: str) -> None:
    model = released(name)
    named = dict(model.named_parameters())
    encoder, decoder = PUBLISHED[name]["encoder_layers"], PUBLISHED[name]["decoder_layers"]
    assert count_parameters(model) == PARAMETERS[name]
    assert len(named) == 15 * encoder + 24 * decoder + 11
    assert all(one.is_meta for one in named.values())
    assert "proj_out.weight" not in named
    assert named["model.encoder.conv1.weight"].shape[1] == PUBLISHED[name]["num_mel_bins"]
    assert len(Whisper().layers(model)) == encoder + decoder


def test_whisper_small_trains_the_decoder_and_then_half_of_the_encoder() -> None:
    phases = matched("whisper-small")
    decoder = {n for n in dict(released("whisper-small").named_parameters()) if ".decoder." in n}
    assert phases["decoder"] == {"decoder": decoder}
    assert phases["encoder_top"]["decoder"] == decoder
    assert layers(phases["encoder_top"]["encoder_top"]) == set(range(6, 12))
    assert len(phases["encoder_top"]["encoder_top"]) == 6 * 15 + 2


def test_turbo_trains_the_decoder_s_layers_and_then_a_quarter_of_the_encoder() -> None:
    phases = matched("whisper-large-v3-turbo")
    for phase in phases.values():
        assert layers(phase["decoder"]) == set(range(4))
        assert len(phase["decoder"]) == 4 * 24 + 2
    assert set(phases["decoder"]) == {"decoder"}
    assert layers(phases["encoder_top"]["encoder_top"]) == set(range(24, 32))
    assert len(phases["encoder_top"]["encoder_top"]) == 8 * 15 + 2


def layers(names: set[str]) -> set[int]:
    return {int(found[1]) for name in names if (found := re.search(r"layers\.(\d+)\.", name))}


def test_the_fixed_positions_of_the_encoder_never_train() -> None:
    phases = [phase for name in PUBLISHED for phase in matched(name).values()]
    trained = {name for phase in phases for names in phase.values() for name in names}
    assert not any("encoder.embed_positions" in name for name in trained)


def test_the_error_for_the_tied_head_says_where_it_is() -> None:
    with pytest.raises(RecipeError, match=r"proj_out.weight is the word embeddings, model\.dec"):
        matched("whisper-small", "phases.0.groups.0.parameters=[proj_out.weight]")


def test_adapters_lie_where_the_recipe_says() -> None:
    model = released.__wrapped__("whisper-large-v3-turbo")
    add_adapters(model, recipes.Lora(layers=["model.decoder.layers.*_attn.*_proj"]), seed=1)
    named = [name for name, _ in model.named_parameters() if ".lora_" in name]
    assert len(named) == 4 * 2 * 4 * 2, "layers, kinds of attention, projections, A and B"


# Memory


@pytest.mark.parametrize("name", PUBLISHED)
@pytest.mark.parametrize("gib", [15.6, 39.5, 79.2])
def test_a_step_is_whole_rows_and_as_many_on_every_gpu(name: str, gib: float) -> None:
    recipe, model, family = recipes.load(name)[1], released(name), Whisper()
    needs = memory_needs(family, model, match(model, recipe.phases))
    found = recipes.resolve_for_machine(recipe, needs, family.sizes, memory=gib, processes=1)
    rows = found.data.batch_seconds / 30
    assert rows == int(rows) >= 1
    assert 15 <= rows * found.optimizer.accumulate <= 16
    assert found.data.batch_tokens >= 1948, "the longest row fits"
    assert found.data.batch_tokens >= rows * 1560, "and rows of usual texts"


def test_on_a_cpu_a_process_takes_two_rows_at_once() -> None:
    recipe, model, family = recipes.load("whisper-small")[1], released("whisper-small"), Whisper()
    needs = memory_needs(family, model, match(model, recipe.phases))
    found = recipes.resolve_for_machine(recipe, needs, family.sizes, memory=None, processes=1)
    assert (found.data.batch_seconds, found.optimizer.accumulate) == (60, 8)


WIDTH = 128


def kept(
    encoder: int, decoder: int, positions: int, tokens: int, *, hears: bool, again: bool
) -> int:
    """Bytes that the backward pass of one more row would need, in a small model."""
    torch.manual_seed(0)
    model = WhisperForConditionalGeneration(
        WhisperConfig(
            vocab_size=300, num_mel_bins=16, d_model=WIDTH, encoder_layers=encoder,
            decoder_layers=decoder, encoder_attention_heads=4, decoder_attention_heads=4,
            encoder_ffn_dim=4 * WIDTH, decoder_ffn_dim=4 * WIDTH, max_source_positions=positions,
            pad_token_id=0, bos_token_id=0, eos_token_id=0, decoder_start_token_id=1,
        )
    ).train()  # fmt: skip
    for name, parameter in model.named_parameters():
        parameter.requires_grad_("decoder" in name or (hears and "encoder.layers" in name))
    set_gradient_checkpointing(model, again)
    one, two = (_kept(model, rows, positions, tokens) for rows in (1, 2))
    return two - one


def _kept(model: nn.Module, rows: int, positions: int, tokens: int) -> int:
    weights = {one.untyped_storage().data_ptr() for one in model.parameters()}
    found: dict[int, int] = {}
    held: list[Tensor] = []  # so that no address is used twice

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            found[storage.data_ptr()] = storage.nbytes()
            held.append(tensor)
        return tensor

    objective = Whisper().objective(model)
    with (
        torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor),
        torch.autocast("cpu", dtype=torch.bfloat16),
    ):
        states = objective.audio_states(torch.zeros(rows, 16, 2 * positions))
        objective.model.model.decoder(
            input_ids=torch.ones(rows, tokens, dtype=torch.long),
            encoder_hidden_states=states,
            use_cache=False,
        )
    return sum(found.values())


def test_activations_are_as_they_are_counted() -> None:
    """In bytes of a unit of width: for each encoder position, and for each decoder token."""

    def slope(**changed: Any) -> float:
        base = {"encoder": 1, "decoder": 1, "positions": 100, "tokens": 20, "hears": False}
        more, by = dict(base), 0
        for key, (value, count) in changed.pop("grows").items():
            more[key], by = value, count
        base |= changed
        more |= changed
        return (kept(**more, again=False) - kept(**base, again=False)) / by / WIDTH

    encoder = slope(grows={"encoder": (2, 100)}, hears=True)
    assert encoder == pytest.approx(memory.ENCODER_LAYER, rel=0.05)
    heard = slope(grows={"positions": (200, 100)})
    assert heard <= memory.HEARD + memory.CROSS
    read = slope(grows={"tokens": (40, 20)})
    assert read == pytest.approx(memory.READ + memory.DECODER_LAYER, rel=0.05)
    cross = slope(grows={"positions": (200, 100)}, decoder=2) - heard
    assert cross == pytest.approx(memory.CROSS, rel=0.05)
