"""Types of frozen weights, kernels, compiling: the same losses, and which is chosen when."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch._dynamo.testing import CompileCounter

from asr_gate.corpus.errors import UserError
from asr_gate.corpus.read import read_corpus
from asr_gate.train import recipes
from asr_gate.train.data.rows import Row
from asr_gate.train.families.qwen3_asr import fast
from asr_gate.train.families.qwen3_asr.build import build_random, set_attention, tiny_config
from asr_gate.train.families.qwen3_asr.encoder import PromptEncoder, collate
from asr_gate.train.families.qwen3_asr.family import Qwen3ASR
from asr_gate.train.families.qwen3_asr.fast import (
    choose_kernels,
    compile_layers,
    use_fused_kernels,
)
from asr_gate.train.families.qwen3_asr.loss import TranscriptLoss
from asr_gate.train.model.arithmetic import not_compiled
from asr_gate.train.model.frozen import only_frozen
from asr_gate.train.model.lora import add_adapters, merged
from asr_gate.train.model.parameter_groups import MatchedGroup, freeze_all_but, match

SHAPE = recipes.TinyModel(audio_layers=3, audio_width=16, text_layers=4, text_width=32)
CPU, CUDA = torch.device("cpu"), torch.device("cuda")


@pytest.fixture
def inputs(processor, manifest: Path) -> dict[str, Tensor]:
    encoder = PromptEncoder(processor, recipes.Data())
    rows = [Row(one, one.duration or 0.0, "English") for one in read_corpus([manifest]).utterances]
    return collate([encoder.read(row) for row in rows[:4]], pad_id=encoder.pad_id).inputs


def rounded(processor) -> TranscriptLoss:
    """A model whose weights bfloat16 can hold, as those of the released checkpoints are."""
    model = build_random(tiny_config(SHAPE, processor), untie=True, seed=1)
    for parameter in model.parameters():
        parameter.data = parameter.data.bfloat16().float()
    set_attention(model, "sdpa")
    return TranscriptLoss(model)


def phases_of(objective: TranscriptLoss) -> list[list[MatchedGroup]]:
    return list(match(objective.model, recipes.load("round2-tiny", [])[1].phases).values())


def test_frozen_weights_in_bfloat16_change_neither_loss_nor_gradients(processor, inputs) -> None:
    """Arithmetic in bfloat16 rounds them anyway, and embeddings can hold no more when released."""
    found = []
    for stored in (False, True):
        objective = rounded(processor)
        phases = phases_of(objective)
        if stored:
            for parameter in only_frozen(objective.model, phases, Qwen3ASR.rounded).values():
                parameter.data = parameter.data.bfloat16()
        for groups in phases:
            freeze_all_but(objective.model, groups)
            with torch.autocast("cpu", dtype=torch.bfloat16):
                loss = objective(**inputs)
            loss.backward()
            trained = {n: p for n, p in objective.model.named_parameters() if p.requires_grad}
            assert {p.dtype for p in trained.values()} == {torch.float32}
            found.append((float(loss), {n: p.grad.clone() for n, p in trained.items()}))
    for (loss, gradients), (other, others) in zip(found[:2], found[2:], strict=True):
        assert loss == other
        assert gradients.keys() == others.keys()
        assert all(torch.equal(gradients[name], others[name]) for name in gradients)


def test_what_any_phase_trains_stays_float32(processor) -> None:
    """Also what thaws only in a later phase; norms compute in float32 and stay."""
    objective = rounded(processor)
    phases = phases_of(objective)
    frozen = only_frozen(objective.model, phases, Qwen3ASR.rounded)
    trained = {name for groups in phases for group in groups for name in group.parameters}
    everything = dict(objective.model.named_parameters())
    assert "lm_head.weight" in trained
    assert any(name.startswith("model.audio_tower.layers.2.") for name in trained)
    assert not frozen.keys() & trained
    others = everything.keys() - frozen.keys() - trained
    assert others and all("norm" in name or "ln_post" in name for name in others)
    assert "model.language_model.embed_tokens.weight" in frozen


def test_tied_embeddings_that_train_by_either_name_stay_float32(processor) -> None:
    model = build_random(tiny_config(SHAPE, processor), untie=False, seed=1)
    embeddings = model.get_input_embeddings().weight
    trained = [[MatchedGroup("words", 1e-5, {"model.language_model.embed_tokens": embeddings})]]
    assert "lm_head.weight" not in only_frozen(model, trained, Qwen3ASR.rounded)


def test_adapters_are_merged_in_float32(processor) -> None:
    """A change of less than bfloat16's last digit must not be lost."""
    objective = rounded(processor)
    layers = ["model.language_model.layers.*.self_attn.q_proj"]
    add_adapters(objective.model, recipes.Lora(layers=layers), seed=1)
    for name, parameter in objective.model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.constant_(parameter, 1e-5)
    expected = merged(objective.model)
    lora = {n: p for n, p in objective.model.named_parameters() if "lora_" in n}
    frozen = only_frozen(
        objective.model, [[MatchedGroup("adapters", 1e-4, lora)]], Qwen3ASR.rounded
    )
    assert not frozen.keys() & lora.keys()
    for parameter in frozen.values():
        parameter.data = parameter.data.bfloat16()
    found = merged(objective.model)
    assert expected is not None and found is not None
    name = "model.language_model.layers.0.self_attn.q_proj.weight"
    assert torch.equal(found[name], expected[name])


def test_kernels_are_chosen_by_device_and_what_is_installed(monkeypatch) -> None:
    monkeypatch.setattr(fast, "find_spec", lambda name: object())
    assert choose_kernels("auto", CUDA) == choose_kernels("liger", CUDA) == "liger"
    assert choose_kernels("auto", CPU) == choose_kernels("torch", CUDA) == "torch"
    with pytest.raises(UserError, match="GPU"):
        choose_kernels("liger", CPU)
    monkeypatch.setattr(fast, "find_spec", lambda name: None)
    assert choose_kernels("auto", CUDA) == "torch"
    with pytest.raises(UserError, match=r"asr-gate\[gpu\]"):
        choose_kernels("liger", CUDA)


def test_fused_kernels_touch_this_model_alone(processor) -> None:
    """Parameters keep their names, other models their classes, the audio tower its norms."""
    one, other = rounded(processor).model, rounded(processor).model
    names = list(one.state_dict())
    use_fused_kernels(one)
    assert fast.uses_fused_kernels(one)
    assert not fast.uses_fused_kernels(other)
    assert list(one.state_dict()) == names
    kinds = [type(module).__name__ for module in one.modules()]
    assert kinds.count("_FusedNorm") == 4 * SHAPE.text_layers + 1
    assert kinds.count("_FusedMLP") == SHAPE.text_layers


@pytest.mark.slow
def test_compiled_layers_have_the_same_losses(processor, inputs) -> None:
    """All layers have one graph, for any length. To generate its code would take too long here."""
    plain, compiled = rounded(processor), rounded(processor)
    counter = CompileCounter()
    compile_layers(compiled.model, backend=counter)
    for rows in (4, 2, 3):
        part = {name: tensor[:rows] for name, tensor in inputs.items()}
        losses = [one(**part) for one in (plain, compiled)]
        for loss in losses:
            loss.backward()
        torch.testing.assert_close(losses[1], losses[0], rtol=1e-6, atol=0)
    assert counter.frame_count <= 2
    with not_compiled(compiled.model), torch.no_grad():
        compiled(**{name: tensor[:1] for name, tensor in inputs.items()})
    assert counter.frame_count <= 2
    for one, other in zip(plain.parameters(), compiled.parameters(), strict=True):
        torch.testing.assert_close(other.grad, one.grad, rtol=1e-4, atol=1e-5)
