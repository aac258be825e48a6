"""What W&B asks of an artifact before it takes it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from asr_gate.tracking.errors import TrackingError
from asr_gate.tracking.redact import plain_dict

if TYPE_CHECKING:
    import wandb


def new_artifact(name: str, type: str, metadata: Mapping[str, object] | None) -> wandb.Artifact:
    """An artifact without files yet. Raises TrackingError on a name that W&B does not allow."""
    import wandb

    try:
        return wandb.Artifact(name, type, metadata=plain_dict(metadata or {}))
    except ValueError as error:
        raise TrackingError(f"W&B artifact {name!r} (type {type!r}): {error}") from error


def check_aliases(name: str, aliases: Sequence[str]) -> None:
    """Raise TrackingError on one that W&B would not allow."""
    for alias in aliases:
        if not alias or set(alias) & set("/:"):
            raise TrackingError(f"W&B artifact {name}: alias {alias!r} is empty or holds / or :")


def check_paths(name: str, paths: Sequence[Path]) -> None:
    """Raise TrackingError where one is missing, or two files would have one name."""
    for part in paths:
        if not part.exists():
            raise TrackingError(f"W&B artifact {name}: {part} does not exist")
    file_names = [part.name for part in paths if not part.is_dir()]
    for file_name in file_names:
        if file_names.count(file_name) > 1:
            raise TrackingError(f"W&B artifact {name}: two files are named {file_name}")
