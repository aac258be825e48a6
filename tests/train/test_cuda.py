"""What only a GPU can show: nothing waits for it, and its kernels give the same losses."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from asr_gate.corpus.read import read_corpus
from asr_gate.train import recipes
from asr_gate.train.data.rows import Row
from asr_gate.train.families.qwen3_asr.build import build_random, set_attention, tiny_config
from asr_gate.train.families.qwen3_asr.encoder import PromptEncoder, collate
from asr_gate.train.families.qwen3_asr.family import Qwen3ASR
from asr_gate.train.families.qwen3_asr.fast import (
    choose_kernels,
    compile_layers,
    make_fast,
    use_fused_kernels,
)
from asr_gate.train.families.qwen3_asr.loss import TranscriptLoss
from asr_gate.train.model.arithmetic import compute_type, moved
from asr_gate.train.model.frozen import round_frozen
from asr_gate.train.model.parameter_groups import freeze_all_but, match
from tests.train.trainings import TWO_EPOCHS, losses, train

pytestmark = [
    pytest.mark.cuda,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here"),
]
CUDA = torch.device("cuda")
SHAPE = recipes.TinyModel(audio_layers=3, audio_width=64, text_layers=4, text_width=128)


@pytest.fixture
def inputs(processor, manifest: Path) -> dict[str, Tensor]:
    encoder = PromptEncoder(processor, recipes.Data())
    rows = [Row(one, one.duration or 0.0, "English") for one in read_corpus([manifest]).utterances]
    return collate([encoder.read(row) for row in rows[:6]], pad_id=encoder.pad_id).inputs


def on_gpu(processor) -> TranscriptLoss:
    """A model on the GPU, its weights such that bfloat16 can hold them."""
    model = build_random(tiny_config(SHAPE, processor), untie=True, seed=1)
    for parameter in model.parameters():
        parameter.data = parameter.data.bfloat16().float()
    set_attention(model, "sdpa")
    return TranscriptLoss(model.to(CUDA).train())


def step(objective: TranscriptLoss, inputs: dict[str, Tensor]) -> tuple[float, dict[str, Tensor]]:
    """The loss and the gradients, in the trainer's arithmetic."""
    objective.zero_grad(set_to_none=True)
    packed = moved(objective.pack(inputs), CUDA, objective.on_host)
    with compute_type(CUDA):
        loss = objective(**packed)
    loss.backward()
    named = objective.model.named_parameters()
    return loss.item(), {name: p.grad.clone() for name, p in named if p.grad is not None}


def close(
    found: tuple[float, dict[str, Tensor]], expected: tuple[float, dict[str, Tensor]]
) -> None:
    """Losses to 1 %, and gradients of nearly the same direction, as bfloat16 allows."""
    assert found[0] == pytest.approx(expected[0], rel=0.01)
    assert found[1].keys() == expected[1].keys()
    for name, gradient in expected[1].items():
        one, other = found[1][name].flatten().double(), gradient.flatten().double()
        if other.norm() > 1e-3:
            assert torch.cosine_similarity(one, other, dim=0) > 0.98, name


def test_losses_are_those_of_the_cpu(processor, inputs) -> None:
    objective = on_gpu(processor)
    found = step(objective, inputs)
    with torch.no_grad():
        expected = float(objective.to("cpu")(**inputs))
    assert found[0] == pytest.approx(expected, rel=0.01)


def test_a_step_never_waits(processor, inputs) -> None:
    objective = on_gpu(processor)
    step(objective, inputs)
    packed = moved(objective.pack(inputs), CUDA, objective.on_host)
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("error")
    try:
        with compute_type(CUDA):
            loss = objective(**packed)
        loss.backward()
    finally:
        torch.cuda.set_sync_debug_mode("default")


def test_frozen_weights_in_bfloat16_change_no_loss(processor, inputs) -> None:
    found = []
    for stored in (False, True):
        objective = on_gpu(processor)
        phases = match(objective.model, recipes.load("round2-tiny", [])[1].phases)
        settings = recipes.Qwen3ASRModel(tiny=SHAPE, untie_embeddings=True, kernels="torch")
        if stored:
            round_frozen(objective.model, phases.values(), Qwen3ASR.rounded)
            make_fast(objective.model, settings, CUDA)
            assert objective.model.get_input_embeddings().weight.dtype == torch.bfloat16
        freeze_all_but(objective.model, phases["A"])
        found.append(step(objective, inputs))
    close(found[1], found[0])


@pytest.mark.parametrize("weighted", [False, True])
def test_fused_kernels_give_the_same_losses(weighted: bool, processor, inputs) -> None:
    if choose_kernels("auto", CUDA) != "liger":
        pytest.skip("liger-kernel is not installed: pip install 'asr-gate[gpu]'")
    plain, fused = on_gpu(processor), on_gpu(processor)
    use_fused_kernels(fused.model)
    close(step(fused, inputs), step(plain, inputs))
    packed = moved(plain.pack(inputs), CUDA, plain.on_host)
    weights = {"weights": torch.linspace(0, 1, 6, device=CUDA)} if weighted else {}
    with torch.no_grad(), compute_type(CUDA):
        pair = [float(one(**packed, **weights)) for one in (plain, fused)]
    assert pair[1] == pytest.approx(pair[0], rel=0.01)


def test_compiled_layers_give_the_same_losses(processor, inputs) -> None:
    plain, compiled = on_gpu(processor), on_gpu(processor)
    compile_layers(compiled.model)
    close(step(compiled, inputs), step(plain, inputs))


def test_a_whole_training(manifest: Path, report: Path) -> None:
    on_cpu = train(manifest, report, *TWO_EPOCHS, "device=cpu")
    on_cuda = train(manifest, report, *TWO_EPOCHS, "device=cuda")
    assert losses(on_cuda)[0] == pytest.approx(losses(on_cpu)[0], rel=0.02)
    assert on_cuda.final is not None
