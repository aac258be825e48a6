"""Saves checkpoints, each complete or not at all."""

from __future__ import annotations

import copy
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from asr_gate.corpus.errors import UserError
from asr_gate.train.model.lora import merged
from asr_gate.train.recipes import CheckpointType


def checkpoint_type(wanted: CheckpointType, device: torch.device) -> torch.dtype:
    """The type of a checkpoint's weights; `auto` is that of the arithmetic on the device."""
    if wanted == "auto":
        return torch.bfloat16 if device.type == "cuda" else torch.float32
    return torch.bfloat16 if wanted == "bfloat16" else torch.float32


class Save(Protocol):
    """Writes a checkpoint into an empty folder: see `families.interface.Family.save`."""

    def __call__(
        self,
        folder: Path,
        model: Any,
        processor: Any,
        *,
        weights: Mapping[str, Tensor] | None,
        dtype: torch.dtype,
    ) -> None:
        """Write."""


def write_checkpoint(
    folder: Path,
    model: nn.Module,
    processor: Any,
    dtype: torch.dtype = torch.float32,
    save: Save | None = None,
) -> None:
    """Write model and processor to a folder, under another name until it is complete.

    A checkpoint of that name is replaced.

    Args:
        folder: of the checkpoint.
        model: float32; it is not changed.
        processor: of the model.
        dtype: of the weights that are written.
        save: of the model's family; None: `save_pretrained`.

    Raises:
        UserError: the disk is full or not writable; no incomplete folder is left.
    """
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        partial.mkdir(parents=True)
        weights = merged(model)
        if dtype != torch.float32:
            weights = _rounded(weights or model.state_dict(), dtype)
        save = save or save_pretrained
        save(partial, model, processor, weights=weights, dtype=dtype)
        shutil.rmtree(folder, ignore_errors=True)
        partial.rename(folder)
    except (OSError, SafetensorError) as error:
        raise UserError(f"{folder}: the checkpoint cannot be written ({error})") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)  # exists only after an error or Ctrl-C


def save_pretrained(
    folder: Path,
    model: Any,
    processor: Any,
    *,
    weights: Mapping[str, Tensor] | None,
    dtype: torch.dtype,
) -> None:
    """The `Save` of a model and a processor of transformers, which can load what it writes."""
    model.save_pretrained(folder, state_dict=weights)
    # It says the type of the model, and that is what the checkpoint would be loaded in.
    config = copy.deepcopy(model.config)
    config.dtype = dtype
    config.save_pretrained(folder)
    processor.save_pretrained(folder)


def _rounded(weights: Mapping[str, Tensor], dtype: torch.dtype) -> dict[str, Tensor]:
    """The weights in another type, in main memory; what was one tensor stays one."""
    done: dict[tuple[int, torch.Size], Tensor] = {}
    for tensor in weights.values():
        key = tensor.data_ptr(), tensor.shape
        if key not in done:
            done[key] = tensor.to("cpu", dtype if tensor.is_floating_point() else None)
    return {name: done[tensor.data_ptr(), tensor.shape] for name, tensor in weights.items()}


def prune(folder: Path, keep: int | None, scores: Mapping[str, float], best: int) -> None:
    """Delete the checkpoints of a run that are neither among the newest nor among the best.

    Args:
        folder: folder of the run.
        keep: how many of the newest stay; None: all.
        scores: WER by checkpoint name.
        best: how many with the lowest WER stay; of equal ones the later.
    """
    if keep is None:
        return
    there = [path for kind in ("epoch-*", "step-*") for path in folder.glob(kind)]
    there.sort(key=lambda path: (path.stat().st_mtime_ns, path.name))
    good = sorted((p for p in there[::-1] if p.name in scores), key=lambda path: scores[path.name])
    for old in set(there) - set(there[-keep:]) - set(good[:best]):
        shutil.rmtree(old)


def mark_best(folder: Path, scores: dict[str, float]) -> None:
    """Point the link `best` to the checkpoint with the lowest WER; of equal ones to the later.

    Args:
        folder: folder of the run.
        scores: WER by checkpoint name, the oldest first.
    """
    there = [name for name in reversed(scores) if (folder / name).is_dir()]
    if not there:
        (folder / "best").unlink(missing_ok=True)
        return
    name = min(there, key=lambda one: scores[one])
    link = folder / ".best.partial"
    link.unlink(missing_ok=True)
    link.symlink_to(name, target_is_directory=True)
    link.replace(folder / "best")
