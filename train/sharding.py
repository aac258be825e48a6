"""FSDP2: each process holds a share of every parameter, of its gradient and of its moments."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor
from transformers import Qwen3ASRForConditionalGeneration

from asr_gate.train.loss import TranscriptLoss


def sharded(
    model: Qwen3ASRForConditionalGeneration, world: int, device: torch.device
) -> TranscriptLoss:
    """The objective of a copy of a model whose parameters are divided between the processes.

    One layer at a time is gathered to be computed, and what is in no layer for a whole step. Which
    parameters take gradients may change between steps. Gradients are sums over the processes.

    Args:
        model: on the processor; it stays as it is. Its copy goes to `device` part by part.
        world: processes; each calls this with the same model.
        device: where they compute.
    """
    objective = TranscriptLoss(copy.deepcopy(model))
    mesh = init_device_mesh(device.type, (world,))
    towers = objective.model.model.audio_tower, objective.model.model.language_model
    for layer in (layer for tower in towers for layer in tower.layers):
        fully_shard(layer, mesh=mesh)
    fully_shard(objective, mesh=mesh)
    for module in objective.modules():
        if isinstance(module, FSDPModule):
            module.set_gradient_divide_factor(1.0)
            module.set_force_sum_reduction_for_comms(True)  # gloo has no mean
    return objective


def whole(tensor: Tensor) -> Tensor:
    """All of a tensor that may be divided; then every process must ask for it."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def like(tensor: Tensor, parameter: nn.Parameter) -> Tensor:
    """A moment of a parameter where and as that is: on its device, divided if that is.

    A count of steps, which is one number, is never divided.
    """
    tensor = tensor.to(parameter.device)
    if isinstance(parameter, DTensor) and tensor.ndim:
        return distribute_tensor(tensor, parameter.device_mesh, parameter.placements)
    return tensor
