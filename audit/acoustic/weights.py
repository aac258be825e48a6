"""What the adapters share: the device, and digests of weights."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

import torch

from asr_gate.corpus.errors import UserError


def pick_device(wish: str) -> torch.device:
    """The device of `auto`, `cpu` or `cuda`.

    Raises:
        UserError: `cuda` was asked for and is not there.
    """
    if wish == "cuda" and not torch.cuda.is_available():
        raise UserError("--device cuda: no CUDA device here; use --device cpu or auto")
    return torch.device("cuda" if wish != "cpu" and torch.cuda.is_available() else "cpu")


def sha256_of_files(files: Iterable[Path]) -> str:
    """SHA-256 over the bytes of files, in the order given."""
    digest = hashlib.sha256()
    for path in files:
        with path.open("rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


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
