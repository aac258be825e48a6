"""In which type a model computes, and how a batch comes to its device."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor, nn


def compute_type(device: torch.device) -> torch.autocast:
    """bfloat16 arithmetic on CUDA, float32 elsewhere; weights that train are float32 in both."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=device.type == "cuda")


def moved(
    inputs: Mapping[str, Tensor], device: torch.device, on_host: Collection[str]
) -> dict[str, Tensor]:
    """A packed batch on the device; what the host reads stays where it is.

    A copy from pageable memory would wait for the device.
    """
    if device.type != "cuda":
        return {name: one if name in on_host else one.to(device) for name, one in inputs.items()}
    return {
        name: one
        if name in on_host or one.is_cuda
        else one.pin_memory().to(device, non_blocking=True)
        for name, one in inputs.items()
    }


def not_compiled(model: nn.Module) -> AbstractContextManager[object]:
    """Compute without compiled layers while it is entered: generation would compile many more."""
    if not any(one._compiled_call_impl for one in model.modules()):
        return nullcontext()  # nothing to import either
    eager: AbstractContextManager[object] = torch.compiler.set_stance("force_eager")
    return eager
