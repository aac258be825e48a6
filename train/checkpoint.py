"""Checkpoints on disk: whole or not there at all, and readable with plain transformers."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from transformers import Qwen3ASRForConditionalGeneration, Qwen3ASRProcessor

from corpus.errors import UserError
from corpus.files import write_atomically


def write_checkpoint(
    folder: Path, model: Qwen3ASRForConditionalGeneration, processor: Qwen3ASRProcessor
) -> None:
    """Write model and processor to a new folder, under another name until it is complete.

    Raises:
        UserError: the disk is full or not writable; nothing half-written is left.
    """
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        partial.mkdir(parents=True)
        model.save_pretrained(partial)
        processor.save_pretrained(partial)
        partial.rename(folder)
    except (OSError, SafetensorError) as error:
        raise UserError(f"{folder}: the checkpoint cannot be written ({error})") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)  # there after a fault or Ctrl-C alone


def prune(folder: Path, keep: int | None) -> None:
    """Delete all but the newest `keep` epochs' checkpoints of a run; None: keep all."""
    if keep is None:
        return
    epochs = sorted(folder.glob("epoch-*"), key=lambda path: int(path.name.removeprefix("epoch-")))
    for old in epochs[:-keep]:
        shutil.rmtree(old)


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
