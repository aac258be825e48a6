"""What the adapters of torch models share: the device, threads, digests of weights."""

from __future__ import annotations

import hashlib

import torch

from asr_gate.corpus.errors import UserError
from asr_gate.corpus.utterance import Seconds
from asr_gate.networks.processor import one_thread

CPU_BATCH: Seconds = 10.0
"""Padded audio in one batch on a CPU at most: more of it leaves the cache, and pads more.

Short rows share a batch, because a product of few frames only waits for the weights; rows of 5 s
and more are alone.
"""


def pick_device(wish: str) -> torch.device:
    """The device of `auto`, `cpu` or `cuda`; torch computes on one thread from now on.

    Raises:
        UserError: `cuda` was asked for and is not there.
    """
    one_thread()
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
