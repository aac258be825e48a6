"""What a sweep keeps in its folder beside its trials: its file, what was confirmed, the best."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError

from asr_gate.corpus.errors import UserError
from asr_gate.corpus.strict import read_json
from asr_gate.rounds.sweep.confirm import Confirmation
from asr_gate.rounds.sweep.file import Loaded, load_sweep_file
from asr_gate.train import recipes
from asr_gate.train.files import write_json

SWEEP_FILE = "sweep.yaml"
"""Copy of the file in the sweep's folder."""
BEST_FILE = "best.yaml"
CONFIRMATION_FILE = "confirmation.json"
_FREE = ("run_cap", "description", "project", "entity")
"""Keys that may change when a sweep has begun."""


def begin(folder: Path, loaded: Loaded) -> None:
    """Make the folder, with a copy of the file, which must stay the same.

    Raises:
        UserError: the folder was begun with another file.
    """
    copy = folder / SWEEP_FILE
    folder.mkdir(parents=True, exist_ok=True)
    if not copy.exists():
        part = copy.with_suffix(f".{os.getpid()}")
        shutil.copyfile(loaded.path, part)
        part.replace(copy)
        return
    begun, now = (
        one.model_dump(exclude=dict.fromkeys(_FREE, True) | {"controller": {"hours", "type"}})
        for one in (load_sweep_file(copy).content, loaded.content)
    )
    if begun != now:
        raise UserError(
            f"{loaded.path}: {folder} was begun with another file; only run_cap and "
            "controller.hours may change; name another --out"
        )


def read_confirmation(folder: Path) -> Confirmation | None:
    """What was found when the best trials were compared last; None: nothing yet.

    Raises:
        UserError: the file is damaged.
    """
    path = folder / CONFIRMATION_FILE
    try:
        return Confirmation.model_validate(read_json(path))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, ValidationError) as error:
        raise UserError(f"{path}: not the confirmation of a sweep; delete it") from error


def write_confirmation(folder: Path, confirmation: Confirmation) -> None:
    """Keep it; errors as in `write_json`."""
    write_json(folder / CONFIRMATION_FILE, confirmation.model_dump(mode="json"))


def write_best(folder: Path, recipe: str, overrides: Sequence[str], said: Sequence[str]) -> Path:
    """Write the recipe of the best trial.

    Args:
        folder: of the sweep.
        recipe: that the sweep started from.
        overrides: of the trial, those of all trials included.
        said: lines for people, which come first.
    """
    path = folder / BEST_FILE
    changed = f"from {recipe}: {' '.join(overrides)}"
    recipes.write(path, recipes.load(recipe, overrides)[1], [*said, changed])
    return path
