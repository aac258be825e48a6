"""Reads checkpoints of folders and of the Hugging Face hub, with one line for what goes wrong."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError
from transformers import PreTrainedConfig

from asr_gate.corpus.errors import UserError

DAMAGE = (
    OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError, StrictDataclassError
)  # fmt: skip
"""What reading a checkpoint that is missing, damaged or of another kind may raise."""


def read_config(source: str, revision: str | None) -> dict[str, Any]:
    """The `config.json` of a checkpoint.

    Args:
        source: folder, or id on the Hugging Face hub.
        revision: branch, tag or commit on the hub; None: the newest.

    Raises:
        UserError: not there, not reachable, or not an object.
    """
    with reading(source):
        content, _ = PreTrainedConfig.get_config_dict(source, revision=revision)
        if not isinstance(content, dict):
            raise ValueError("config.json is not an object")
        return content


@contextmanager
def reading(source: str, kind: str = "speech-recognition", example: str = "") -> Iterator[None]:
    """Read a checkpoint: errors become one line, and the hub client does not print each retry.

    Args:
        source: folder or hub id.
        kind: of checkpoint that is expected.
        example: a hub id of this kind; empty: none is named.

    Raises:
        UserError: it cannot be read.
    """
    logger = logging.getLogger("huggingface_hub")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    except DAMAGE as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        where = "in this folder" if Path(source).is_dir() else "here or on the Hugging Face hub"
        one = f", e.g. {example}," if example else ""
        raise UserError(
            f"{source or repr(source)}: no usable {kind} checkpoint {where} "
            f"({reason.rstrip('.')}); download one{one} and name its folder (asr train: "
            "model.pretrained=FOLDER)"
        ) from error
    finally:
        logger.setLevel(before)


def require_exact(source: str, kind: str, report: Mapping[str, Any]) -> None:
    """Check that each weight of a checkpoint found its place, and each place a weight.

    Otherwise a missing one would silently stay random.

    Args:
        source: folder or hub id.
        kind: of the model, for the message.
        report: what transformers says when it loads.

    Raises:
        UserError: they do not fit.
    """
    misfits = {
        what: sorted(map(str, report[what]))
        for what in ("missing_keys", "unexpected_keys", "mismatched_keys")
        if report.get(what)
    }
    if misfits:
        listed = "; ".join(
            f"{len(keys)} {what.replace('_', ' ')}, first {', '.join(keys[:3])}"
            for what, keys in misfits.items()
        )
        raise UserError(
            f"{source}: the weights do not fit {kind} as transformers defines it ({listed})"
        )
