"""What the adapters of torch models share: the device, threads, digests of weights."""

from __future__ import annotations

import hashlib
import warnings
from typing import Any

import torch
from torch import nn

from asr_gate.audit.acoustic.interface import Arithmetic, Precision
from asr_gate.corpus.errors import UserError
from asr_gate.networks.processor import one_thread


def pick_device(wish: str) -> torch.device:
    """The device of `auto`, `cpu` or `cuda`; torch computes on one thread from now on.

    Raises:
        UserError: `cuda` was asked for and is not there.
    """
    one_thread()
    if wish == "cuda" and not torch.cuda.is_available():
        raise UserError("--device cuda: no CUDA device here; use --device cpu or auto")
    return torch.device("cuda" if wish != "cpu" and torch.cuda.is_available() else "cpu")


def pick_precision(wish: Precision, device: torch.device) -> Arithmetic:
    """The arithmetic of `auto`: float16 on a GPU, float32 on a CPU.

    On a CPU lower precision is only taken when it is asked for: how much it costs in detection
    depends on the model, and how much it gains on the processor.

    Raises:
        UserError: the device cannot compute in it.
    """
    cpu = device.type == "cpu"
    if wish == "auto":
        return "float32" if cpu else "float16"
    if wish == "int8" and not cpu:
        raise UserError("--precision int8: on a CPU only; leave it out, or use --device cpu")
    return wish


def lower_precision(device: torch.device, precision: Arithmetic) -> torch.autocast:
    """In this context, matrix products are computed in float16 or bfloat16, if that is asked."""
    half = precision in ("float16", "bfloat16")
    dtype = torch.float16 if precision == "float16" else torch.bfloat16
    return torch.autocast(device.type, dtype, enabled=half)


def in_eight_bits(model: nn.Module) -> nn.Module:
    """The model, changed: its linear layers multiply in int8.

    Weights are rounded once, with a scale for each matrix; values in each call, with a scale for
    the whole batch, so that a row must be alone to be what it is alone.
    """
    quantize: Any = torch.ao.quantization.quantize_dynamic
    with warnings.catch_warnings():
        # Deprecated for torchao, which has these products for GPUs and newer processors.
        warnings.simplefilter("ignore", DeprecationWarning)
        quantized: nn.Module = quantize(model, {nn.Linear}, inplace=True)
    return quantized


def sha256_of_state(state: dict[str, torch.Tensor]) -> str:
    """SHA-256 over names and values of a state dictionary, in the order of the names."""
    digest = hashlib.sha256()
    for name in sorted(state):
        digest.update(name.encode())
        # As bytes, because numpy has no bfloat16.
        digest.update(
            state[name].detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
        )
    return digest.hexdigest()
