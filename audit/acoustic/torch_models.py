"""What the adapters of torch models share: the device, threads, digests of weights."""

from __future__ import annotations

import hashlib

import torch

from asr_gate.corpus.errors import UserError


def pick_device(wish: str) -> torch.device:
    """The device of `auto`, `cpu` or `cuda`; on a CPU, torch computes on one thread from now on.

    Raises:
        UserError: `cuda` was asked for and is not there.
    """
    torch.set_num_threads(1)  # see asr_gate.audit.acoustic.batching
    if wish == "cuda" and not torch.cuda.is_available():
        raise UserError("--device cuda: no CUDA device here; use --device cpu or auto")
    return torch.device("cuda" if wish != "cpu" and torch.cuda.is_available() else "cpu")


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
