"""FSDP2: each process holds a shard of every parameter, of its gradient and of its moments."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.distributed.tensor import DTensor

from asr_gate.train.families.interface import Family, Objective


def sharded(family: Family, model: nn.Module, world: int, device: torch.device) -> Objective:
    """The loss of a copy of the model whose parameters are sharded over the processes.

    One layer at a time is gathered to be computed; parameters outside of the layers are gathered
    for a whole step. Which parameters take gradients may change between steps. Gradients are sums
    over the processes.

    Args:
        family: of the model.
        model: on the CPU; it is not changed. Its copy goes to `device` layer by layer.
        world: number of processes; each calls this with the same model.
        device: where the processes compute.
    """
    objective = family.objective(copy.deepcopy(model))
    mesh = init_device_mesh(device.type, (world,))
    for layer in family.layers(objective.model):
        fully_shard(layer, mesh=mesh)
    fully_shard(objective, mesh=mesh)
    for module in objective.modules():
        if isinstance(module, FSDPModule):
            module.set_gradient_divide_factor(1.0)
            module.set_force_sum_reduction_for_comms(True)  # gloo cannot average
    return objective


def whole(tensor: Tensor) -> Tensor:
    """The whole of a tensor that may be sharded; if it is, every process must call this."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor
