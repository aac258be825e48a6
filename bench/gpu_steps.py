"""Training steps on random models and noise, in the official way and in ours; for `bench.gpu`."""

from __future__ import annotations

import gc
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
import torchaudio
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode
from transformers import Qwen3ASRConfig, Qwen3ASRForConditionalGeneration

from asr_gate.train import recipes
from asr_gate.train.families.qwen3_asr.build import (
    build_on_meta,
    build_random,
    set_attention,
    tiny_config,
)
from asr_gate.train.families.qwen3_asr.encoder import IGNORE, audio_tokens
from asr_gate.train.families.qwen3_asr.family import Qwen3ASR
from asr_gate.train.families.qwen3_asr.fast import (
    choose_kernels,
    compile_layers,
    use_fused_kernels,
)
from asr_gate.train.families.qwen3_asr.loss import TranscriptLoss
from asr_gate.train.families.qwen3_asr.tokenizer import build_processor
from asr_gate.train.loop.optimizer import build_optimizer
from asr_gate.train.model import token_losses
from asr_gate.train.model.arithmetic import compute_type, moved
from asr_gate.train.model.frozen import only_frozen
from asr_gate.train.model.layers import set_gradient_checkpointing
from asr_gate.train.model.parameter_groups import (
    freeze_all_but,
    match,
)

Batch = dict[str, Tensor]

PEAK = {
    "H200": 989e12,
    "H100": 989e12,
    "A100": 312e12,
    "L40S": 362e12,
    "L4": 121e12,
    "A10": 125e12,
    "4090": 165e12,
}
"""FLOP a second in bfloat16, dense, as NVIDIA publishes them; part of a device's name."""


@dataclass(frozen=True)
class Way:
    """One way to make a step."""

    name: str
    official: bool = False
    packed: bool = True
    """Everything is counted on the host, and attention needs no mask."""
    frozen: bool = True
    """Frozen weights are bfloat16."""
    kernels: recipes.Kernels = "torch"
    compile: bool = False
    gpu: bool = False
    """Only where there is a GPU."""


WAYS = (
    Way("official: bfloat16, all logits", official=True),
    Way("transformers' tower, a mask, float32 weights", packed=False, frozen=False),
    Way("counted on the host, no mask", frozen=False),
    Way("frozen weights in bfloat16", gpu=True),
    Way("liger-kernel", kernels="liger", gpu=True),
    Way("liger-kernel, compiled layers", kernels="liger", compile=True, gpu=True),
)
"""Each adds to the one before it, from the second on."""


@dataclass(frozen=True)
class Setting:
    """What all ways have in common."""

    recipe: recipes.Recipe
    phase: recipes.Phase
    config: Qwen3ASRConfig
    batches: Sequence[Batch]
    device: torch.device


@dataclass(frozen=True)
class Steps:
    """What was measured."""

    seconds: list[float]
    """Of each step."""
    memory: int | None
    """Most bytes that were in use; None: not known."""


class Waiting(TranscriptLoss):
    """The loss with transformers' own tower and a mask; it waits for the device."""

    def pack(self, inputs: Mapping[str, Tensor]) -> Batch:
        """The batch as it is, and where its loss is."""
        packed = super().pack(inputs)
        losses = {name: one for name, one in packed.items() if name.startswith("loss_")}
        return {name: one for name, one in inputs.items() if name != "labels"} | losses

    def _states(self, packed: Batch) -> Tensor:
        given = {name: one for name, one in packed.items() if not name.startswith("loss_")}
        hidden = self.model.model(**given, use_cache=False).last_hidden_state
        states: Tensor = hidden.flatten(0, 1).index_select(0, packed["loss_at"])
        return states


def model_config(tiny: bool) -> Qwen3ASRConfig:
    """The configuration of the 1.7B, or of `round2-tiny`."""
    if tiny:
        return tiny_config(recipes.TinyModel(), build_processor(["a b c"] * 3, vocabulary=320))
    return Qwen3ASRConfig(audio_config={"model_type": "qwen3_asr_encoder", "output_dim": 2048})


def ctc_network(tiny: bool) -> nn.Module:
    """A wav2vec2 with random weights: MMS_FA's architecture, or a small one of its kind."""
    given = dict(torchaudio.pipelines.MMS_FA._params)
    if tiny:
        given |= {
            "extractor_conv_layer_config": [(16, 10, 5), *[(16, 3, 2)] * 4, *[(16, 2, 2)] * 2],
            "encoder_num_layers": 2,
            "encoder_embed_dim": 64,
            "encoder_num_heads": 4,
            "encoder_ff_interm_features": 128,
        }
    torch.manual_seed(1)
    network: nn.Module = torchaudio.models.wav2vec2_model(**given)
    return network.eval()


def batches(seconds: float, tiny: bool) -> list[Batch]:
    """Two batches of noise: rows of 4 to 8 s, and three tokens of text a second."""
    generator = random.Random(1)
    config = model_config(tiny)
    made = []
    for _ in range(2):
        lengths = [generator.uniform(4.0, 8.0) for _ in range(max(1, int(seconds / 8)))]
        made.append(_batch(lengths, config, generator))
    return made


def _batch(lengths: Sequence[float], config: Qwen3ASRConfig, generator: random.Random) -> Batch:
    frames = [int(100 * length) for length in lengths]
    heard = [audio_tokens((count + 0.5) / 100) for count in frames]
    text = [round(3 * length) for length in lengths]
    prompt = 15
    width = max(a + b for a, b in zip(heard, text, strict=True)) + prompt
    longest = -(-max(frames) // 100) * 100
    highest = min(config.text_config.vocab_size, config.audio_token_id) - 1
    ids = torch.full((len(lengths), width), 1)
    mask, labels = torch.zeros_like(ids), torch.full_like(ids, IGNORE)
    for row, (audio, words) in enumerate(zip(heard, text, strict=True)):
        end = prompt + audio + words
        ids[row, :end] = torch.tensor([generator.randrange(2, highest) for _ in range(end)])
        ids[row, 6 : 6 + audio] = config.audio_token_id
        mask[row, :end] = 1
        labels[row, end - words : end] = ids[row, end - words : end]
    return {
        "input_ids": ids,
        "attention_mask": mask,
        "labels": labels,
        "input_features": torch.randn(len(lengths), 128, longest),
        "input_features_mask": (torch.arange(longest) < torch.tensor(frames)[:, None]).long(),
    }


def measure(setting: Setting, way: Way, *, seconds: float) -> Steps:
    """Steps for about so long, after a first one of each batch that does not count."""
    cuda = setting.device.type == "cuda"
    gc.collect()
    if cuda:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(setting.device)
    taken = _steps(setting, way, seconds)
    return Steps(taken, torch.cuda.max_memory_allocated(setting.device) if cuda else None)


def _steps(setting: Setting, way: Way, seconds: float) -> list[float]:
    """The seconds of each step that counts."""
    device = setting.device
    model = _model(setting, way)
    groups = match(model, [setting.phase])[setting.phase.name]
    freeze_all_but(model, groups)
    set_gradient_checkpointing(model, setting.phase.gradient_checkpointing)
    optimizer = build_optimizer(groups, setting.recipe.optimizer)
    loss = _official(model, device) if way.official else _ours(model, way, device)
    trained = [one for group in optimizer.param_groups for one in group["params"]]

    def step(batch: Batch) -> None:
        loss(batch).backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        if device.type == "cuda":
            torch.cuda.synchronize()

    for batch in setting.batches:
        step(batch)
    taken: list[float] = []
    began = time.perf_counter()
    while len(taken) < 3 or (time.perf_counter() - began < seconds and len(taken) < 12):
        start = time.perf_counter()
        step(setting.batches[0])
        taken.append(time.perf_counter() - start)
    return taken


def _model(setting: Setting, way: Way) -> Qwen3ASRForConditionalGeneration:
    with torch.device(setting.device):
        model = build_random(setting.config, untie=True, seed=1).train()
    if way.official:
        return model.to(torch.bfloat16 if setting.device.type == "cuda" else torch.float32)
    if way.packed:
        set_attention(model, "sdpa")
    if way.frozen and setting.device.type == "cuda":
        # In this phase; of what only another one trains, both ways hold the same.
        phases = match(model, setting.recipe.phases).values()
        for parameter in only_frozen(model, phases, Qwen3ASR.rounded).values():
            parameter.data = parameter.data.to(torch.bfloat16)
    if choose_kernels(way.kernels, setting.device) == "liger":
        use_fused_kernels(model)
    if way.compile:
        compile_layers(model)
    return model


def _official(
    model: Qwen3ASRForConditionalGeneration, device: torch.device
) -> Callable[[Batch], Tensor]:
    """The model's own loss, of all positions, padding on the left."""

    def loss(batch: Batch) -> Tensor:
        given = {name: one.to(device) for name, one in _left(batch).items()}
        given["input_features"] = given["input_features"].to(model.dtype)
        found: Tensor = model(**given, use_cache=False).loss
        return found

    return loss


def _ours(
    model: Qwen3ASRForConditionalGeneration, way: Way, device: torch.device
) -> Callable[[Batch], Tensor]:
    objective = TranscriptLoss(model) if way.packed else Waiting(model)

    def loss(batch: Batch) -> Tensor:
        packed = moved(objective.pack(batch), device, objective.on_host)
        with compute_type(device):
            found: Tensor = objective(**packed) / len(packed["loss_at"])
        return found

    return loss


def _left(batch: Batch) -> Batch:
    """The same rows with their padding on the left."""
    moved_left = dict(batch)
    for name in ("input_ids", "attention_mask", "labels"):
        padding = batch["attention_mask"].shape[1] - batch["attention_mask"].sum(1)
        rows = zip(batch[name], padding.tolist(), strict=True)
        moved_left[name] = torch.stack([row.roll(shift) for row, shift in rows])
    return moved_left


def count_flops(setting: Setting) -> int:
    """Floating-point operations of a step on the first batch, nothing computed twice."""
    model = build_on_meta(setting.config, untie=True)
    freeze_all_but(model, match(model, [setting.phase])[setting.phase.name])
    set_attention(model, "sdpa")
    objective = TranscriptLoss(model)
    packed = moved(objective.pack(setting.batches[0]), torch.device("meta"), objective.on_host)
    before, token_losses.CHUNK = token_losses.CHUNK, len(packed["loss_at"])
    try:
        with FlopCounterMode(display=False) as counter:
            objective(**packed).backward()
    finally:
        token_losses.CHUNK = before
    return int(counter.get_total_flops())


def peak_of(device: torch.device) -> float | None:
    """The device's peak in bfloat16, FLOP a second; None: not known."""
    if device.type == "cpu":
        return None
    name = torch.cuda.get_device_name(device)
    return next((peak for part, peak in PEAK.items() if part in name), None)
