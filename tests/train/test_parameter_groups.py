from itertools import pairwise
from pathlib import Path

import pytest
import torch
from transformers import Qwen3ASRConfig

from asr_gate.train import recipes
from asr_gate.train.families.qwen3_asr.build import (
    build_on_meta,
    build_random,
    is_tied,
    tiny_config,
)
from asr_gate.train.families.qwen3_asr.family import Qwen3ASR
from asr_gate.train.loop.optimizer import beginning, build_optimizer, schedule, set_learning_rates
from asr_gate.train.model.layers import set_gradient_checkpointing
from asr_gate.train.model.parameter_groups import (
    MatchedGroup,
    expand,
    freeze_all_but,
    match,
)
from asr_gate.train.recipes import RecipeError

SHAPE = recipes.TinyModel(audio_layers=3, audio_width=16, text_layers=4, text_width=32)


@pytest.fixture(scope="module")
def tiny(processor):
    return build_on_meta(tiny_config(SHAPE, processor), untie=True)


def test_ranges_expand() -> None:
    assert expand("a.*") == ["a.*"]
    assert expand("a.{9..11}.b") == ["a.9.b", "a.10.b", "a.11.b"]
    assert len(expand("{1..2}.{3..4}")) == 4
    with pytest.raises(RecipeError, match="backwards"):
        expand("a.{3..1}")


def test_round2_names_parameters_of_the_real_architecture() -> None:
    """The 1.7B's shape without its weights: as many layers and the widths of its configuration."""
    config = Qwen3ASRConfig(audio_config={"model_type": "qwen3_asr_encoder", "output_dim": 2048})
    model = build_on_meta(config, untie=True)
    matched = match(model, recipes.load("round2")[1].phases)
    counts = {phase: {one.name: one.size for one in some} for phase, some in matched.items()}
    layer = {
        name: sum(p.numel() for n, p in model.named_parameters() if n.startswith(name))
        for name in ("model.language_model.layers.27.", "model.audio_tower.layers.23.")
    }
    assert counts["B"] == {
        "projector": 1024 * 1024 + 1024 + 1024 * 2048 + 2048,
        "language_model_top": 12 * layer["model.language_model.layers.27."],
        "head": 151936 * 2048,
    }
    assert counts["A"] == {
        **counts["B"],
        "audio_top": 8 * layer["model.audio_tower.layers.23."],
    }


def test_a_pattern_that_matches_nothing_lists_what_exists(tiny) -> None:
    _, settings = recipes.load(
        "round2-tiny",
        ["phases.0.groups.1.parameters=['model.language_model.layers.{3..4}.*','decoder.*']"],
    )
    with pytest.raises(RecipeError) as error:
        match(tiny, settings.phases)
    said = str(error.value)
    assert "phase B, language_model_top: model.language_model.layers.4.* matches nothing" in said
    assert "decoder.* matches nothing" in said
    assert "model.language_model.layers.{0..3}.*" in said
    assert "model.audio_tower.layers.{0..2}.*" in said


def test_a_parameter_in_two_groups_is_an_error(tiny) -> None:
    _, settings = recipes.load(
        "round2-tiny", ["phases.1.groups.0.parameters=['model.multi_modal_projector.*','lm_head*']"]
    )
    with pytest.raises(RecipeError, match=r"phase A: 1 parameters are in both projector and head"):
        match(tiny, settings.phases)


def test_a_tied_head_cannot_be_trained_by_its_name(processor) -> None:
    model = build_on_meta(tiny_config(SHAPE, processor), untie=False)
    assert is_tied(model)
    with pytest.raises(RecipeError, match="untie_embeddings is false"):
        match(model, recipes.load("round2-tiny")[1].phases, Qwen3ASR().hint)


def test_untying_copies_the_weights(processor) -> None:
    tied = build_random(tiny_config(SHAPE, processor), untie=False, seed=3)
    untied = build_random(tiny_config(SHAPE, processor), untie=True, seed=3)
    assert is_tied(tied)
    assert not is_tied(untied)
    assert torch.equal(tied.lm_head.weight, untied.lm_head.weight)
    assert torch.equal(untied.lm_head.weight, untied.get_input_embeddings().weight)


def group(name: str, *parameters: torch.nn.Parameter, rate: float = 0.1) -> MatchedGroup:
    named = {f"{name}.{index}": parameter for index, parameter in enumerate(parameters)}
    return MatchedGroup(name, rate, named)


def step(optimizer: torch.optim.Optimizer, *parameters: torch.nn.Parameter) -> None:
    for parameter in parameters:
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()


def test_a_continuing_group_steps_as_if_there_were_no_switch() -> None:
    def weight() -> torch.nn.Parameter:
        return torch.nn.Parameter(torch.arange(6.0).reshape(2, 3))

    settings = recipes.Optimizer()
    kept, thawed, unbroken = weight(), weight(), weight()
    first = build_optimizer([group("kept", kept)], settings)
    reference = build_optimizer([group("kept", unbroken)], settings)
    step(first, kept)
    step(reference, unbroken)
    second = build_optimizer([group("new", thawed), group("kept", kept)], settings, previous=first)
    assert thawed not in second.state
    assert second.state[kept]["step"] == 1
    step(second, kept, thawed)
    step(reference, unbroken)
    assert torch.equal(kept, unbroken)
    assert second.state[thawed]["step"] == 1


def test_parameters_that_begin_at_a_switch_are_warmed_up_alone() -> None:
    old, new = (torch.nn.Parameter(torch.ones(2, 2)) for _ in range(2))
    settings = recipes.Optimizer(group_warmup=3)
    both = [group("both", old, new, rate=0.8)]
    optimizer = build_optimizer(both, settings, begin={"both.1"})
    shown = set_learning_rates(optimizer, 0.5, beginning(0, 100, settings))
    assert shown == {"both": pytest.approx(0.4)}, "that of what goes on"
    rates = {one: g["lr"] for g in optimizer.param_groups for one in g["params"]}
    assert rates == {old: pytest.approx(0.4), new: pytest.approx(0.1)}
    shares = [beginning(step, 100, settings) for step in range(5)]
    assert shares == [0.25, 0.5, 0.75, 1.0, 1.0]
    assert beginning(0, 19, settings) == 0.5, "a tenth of the phase"
    assert beginning(0, 9, settings) == 1.0
    assert beginning(0, 100, recipes.Optimizer(group_warmup=0)) == 1.0


def test_biases_and_norms_do_not_decay() -> None:
    weight, bias = torch.nn.Parameter(torch.ones(2, 2)), torch.nn.Parameter(torch.ones(2))
    optimizer = build_optimizer([group("g", weight, bias)], recipes.Optimizer(weight_decay=0.5))
    assert [g["weight_decay"] for g in optimizer.param_groups] == [0.5, 0.0]
    assert [g["params"] for g in optimizer.param_groups] == [[weight], [bias]]


def test_frozen_parameters_take_no_gradients(processor) -> None:
    model = build_random(tiny_config(SHAPE, processor), untie=True, seed=1)
    _, settings = recipes.load("round2-tiny")
    matched = match(model, settings.phases)
    for phase in ("B", "A"):
        freeze_all_but(model, matched[phase])
        trained = {name for name, p in model.named_parameters() if p.requires_grad}
        assert trained == {name for one in matched[phase] for name in one.parameters}
    assert "model.language_model.embed_tokens.weight" not in trained
    assert "model.audio_tower.layers.2.fc1.weight" in trained
    assert "model.audio_tower.layers.1.fc1.weight" not in trained


@pytest.mark.parametrize("trained", [["B"], ["A"], ["head"]])
def test_checkpointing_changes_no_gradient(trained, processor, manifest: Path) -> None:
    """`head` trains nothing below the upper language model, so that its inputs are all frozen."""
    from asr_gate.corpus.read import read_corpus
    from asr_gate.train.data.rows import Row
    from asr_gate.train.families.qwen3_asr.encoder import PromptEncoder, collate
    from asr_gate.train.families.qwen3_asr.loss import TranscriptLoss

    model = build_random(tiny_config(SHAPE, processor), untie=True, seed=1).train()
    matched = match(model, recipes.load("round2-tiny")[1].phases)
    groups = matched["B"][1:] if trained == ["head"] else matched[trained[0]]
    freeze_all_but(model, groups)
    encoder = PromptEncoder(processor, recipes.Data())
    rows = [Row(one, one.duration or 0.0, "English") for one in read_corpus([manifest]).utterances]
    inputs = collate([encoder.read(row) for row in rows[:3]], pad_id=encoder.pad_id).inputs
    layers = [*model.model.audio_tower.layers, *model.model.language_model.layers]
    calls: list[int] = []
    for number, layer in enumerate(layers):
        # Hooks of the layer itself stay outside of its checkpoint; those of its parts are in it.
        layer.self_attn.register_forward_hook(lambda *_, number=number: calls.append(number))
    found = []
    for on in (False, True, False):
        set_gradient_checkpointing(model, on)
        calls.clear()
        model.zero_grad()
        loss = TranscriptLoss(model)(**inputs)
        loss.backward()
        twice = {number for number in calls if calls.count(number) == 2}
        found.append((loss.detach(), {n: p.grad for n, p in model.named_parameters()}, twice))
    (loss, gradients, none), (other, again, twice), (_, _, after) = found
    assert not none
    assert not after
    expected = {
        "B": {3, 4, 5, 6},  # the whole language model: gradients cross it down to the projector
        "A": {2, 3, 4, 5, 6},  # and the tower's top
        "head": {5, 6},
    }
    assert twice == expected[trained[0]]
    torch.testing.assert_close(other, loss, rtol=1e-6, atol=0)
    for name, gradient in gradients.items():
        assert (gradient is None) == (again[name] is None), name
        if gradient is not None:
            torch.testing.assert_close(again[name], gradient, rtol=1e-6, atol=1e-6)
    with torch.no_grad():
        set_gradient_checkpointing(model, True)
        assert not model.get_input_embeddings()(inputs["input_ids"]).requires_grad


def test_the_schedule_warms_up_then_falls_without_a_jump() -> None:
    settings = recipes.Optimizer(warmup=0.1, floor=0.1)
    shares = [schedule(step, 100, settings) for step in range(100)]
    assert shares[0] == pytest.approx(1 / 11)
    assert max(shares) == shares[10] == 1.0
    assert all(a < b for a, b in pairwise(shares[:11]))
    assert all(a > b for a, b in pairwise(shares[10:]))
    assert shares[-1] == pytest.approx(0.1, abs=0.01)
    assert max(abs(a - b) for a, b in pairwise(shares)) < 0.1
    assert schedule(0, 1, recipes.Optimizer(warmup=0.0)) == 1.0


def test_rates_are_peaks_times_the_share() -> None:
    parameter = torch.nn.Parameter(torch.ones(2, 2))
    optimizer = build_optimizer([group("g", parameter, rate=0.4)], recipes.Optimizer())
    assert set_learning_rates(optimizer, 0.5) == {"g": pytest.approx(0.2)}
    assert set_learning_rates(optimizer, 0.25) == {"g": pytest.approx(0.1)}
