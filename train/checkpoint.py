"""Checkpoints on disk: whole or not there at all, and readable with plain transformers."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from transformers import Qwen3ASRForConditionalGeneration, Qwen3ASRProcessor

from asr_gate.corpus.errors import UserError
from asr_gate.corpus.files import write_atomically
from asr_gate.train.lora import merged


def write_checkpoint(
    folder: Path, model: Qwen3ASRForConditionalGeneration, processor: Qwen3ASRProcessor
) -> None:
    """Write model and processor to a folder, under another name until it is complete.

    One of that name that a killed run left is replaced.

    Raises:
        UserError: the disk is full or not writable; nothing half-written is left.
    """
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        partial.mkdir(parents=True)
        model.save_pretrained(partial, state_dict=merged(model))
        processor.save_pretrained(partial)
        shutil.rmtree(folder, ignore_errors=True)
        partial.rename(folder)
    except (OSError, SafetensorError) as error:
        raise UserError(f"{folder}: the checkpoint cannot be written ({error})") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)  # there after a fault or Ctrl-C alone


def prune(folder: Path, keep: int | None, scores: Mapping[str, float], best: int) -> None:
    """Delete the checkpoints of a run that are neither new nor good.

    Args:
        folder: of the run.
        keep: how many of the newest stay; None: all.
        scores: WER by the checkpoint's name.
        best: how many of the lowest WER stay, of equal ones the later.
    """
    if keep is None:
        return
    there = [path for kind in ("epoch-*", "step-*") for path in folder.glob(kind)]
    there.sort(key=lambda path: (path.stat().st_mtime_ns, path.name))
    good = sorted((p for p in there[::-1] if p.name in scores), key=lambda path: scores[path.name])
    for old in set(there) - set(there[-keep:]) - set(good[:best]):
        shutil.rmtree(old)


def mark_best(folder: Path, scores: dict[str, float]) -> None:
    """Let `best` in a run's folder lead to the checkpoint of the lowest WER, the later of equals.

    Args:
        folder: of the run.
        scores: WER by the checkpoint's name, in the order of their making.
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


def write_json(path: Path, content: Any) -> None:
    """Replace a JSON file in one step.

    Raises:
        UserError: the disk is full or not writable; the former file is left.
    """
    text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
    try:
        write_atomically(path, text.encode())
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror})") from error
