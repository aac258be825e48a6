"""Which device a process computes on: a GPU that is there is used, or its fault is told."""

from __future__ import annotations

import os
import re
import warnings
from pathlib import Path

import torch

from asr_gate.corpus.errors import UserError
from asr_gate.train.distributed import Ranks, in_srun

NODES = "nvidia[0-9]*"
"""Files under `/dev`, one for each NVIDIA GPU that this system may use."""


def choose_device(wanted: str, here: Ranks, option: str) -> torch.device:
    """The device of this process; a GPU is tried with a number.

    Args:
        wanted: `auto` (a GPU if there is one), `cpu` or `cuda`.
        here: this process; it uses the GPU with its local number.
        option: how the user sets the device, for messages: `device=`, `--device `.

    Raises:
        UserError: there is no GPU, or too few for this process, or it cannot be used.
    """
    found = count_gpus(wanted, option)
    if not found:
        return torch.device("cpu")
    # With `srun --gpus-per-task=1` each task sees its own GPU alone.
    local = 0 if found == 1 and in_srun() else here.local
    if local >= found:
        raise UserError(
            f"process {local} of this machine has no GPU of its own: torch finds {found}; "
            "start at most as many processes as there are GPUs"
        )
    device = torch.device("cuda", local)
    try:
        torch.zeros(1, device=device).add_(1).item()
    except RuntimeError as error:
        raise UserError(
            f"{device} cannot be used: {_first_line(error)}; see whether nvidia-smi shows it free "
            f"and sound, or set {option}cpu"
        ) from error
    return device


def count_gpus(wanted: str, option: str) -> int:
    """How many GPUs this process may use; no context is made on any.

    Args:
        wanted: `auto`, `cpu` (then there are none) or `cuda`.
        option: as in `choose_device`.

    Raises:
        UserError: `cuda` is wanted and there is none, or one is there that torch cannot use.
    """
    if wanted == "cpu":
        return 0
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        # The first counts by NVML, which knows nothing of a driver that is too old for torch.
        found = torch.cuda.device_count()
        usable = torch.cuda.is_available()
    if found and usable:
        return found
    there = sorted(Path("/dev").glob(NODES))
    if found or (there and not _hidden()):
        built = torch.version.cuda or torch.version.hip
        why = _first_line(said[0].message) if built and said else _why_none()
        mend = "update its driver, or install a torch for it" if built else "install one with CUDA"
        raise UserError(
            f"there is a GPU ({there[0] if there else 'NVML finds it'}), but torch "
            f"{torch.__version__} cannot use it: {why}; {mend}, or set {option}cpu"
        )
    if wanted == "cuda":
        raise UserError(f"{option}cuda: {_why_none()}; use {option}auto")
    return 0


def explain(device: torch.device, here: Ranks) -> str:
    """What `auto` chose, and why, in one line."""
    if device.type != "cuda":
        return _why_none()
    found = torch.cuda.device_count()
    many = f"{here.world} × " if here.world > 1 else ""
    of = f"; of {found} GPUs here it uses one" if here.world == 1 and found > 1 else ""
    return f"{many}{torch.cuda.get_device_name(device)}, one for each process{of}"


def _why_none() -> str:
    if not (torch.version.cuda or torch.version.hip):
        return "this torch is built without CUDA"
    if _hidden():
        return f"CUDA_VISIBLE_DEVICES={os.environ['CUDA_VISIBLE_DEVICES']} names no GPU"
    return "torch sees no GPU"


def _hidden() -> bool:
    """Whether somebody has taken the GPUs away from this process: a user, or a scheduler."""
    names = os.environ.get("CUDA_VISIBLE_DEVICES")
    return names is not None and not re.match(r"\d|GPU-|MIG-", names)


def _first_line(said: object) -> str:
    """The first sentence of what torch says."""
    text = str(said).strip().partition("\n")[0]
    return re.split(r"(?<=\w)\. ", text)[0].rstrip(".")
