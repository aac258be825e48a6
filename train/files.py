"""Files and folders of a run; every failure is one line that names the path."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from asr_gate.corpus.errors import UserError
from asr_gate.corpus.files import write_atomically


def write_file(path: Path, content: bytes) -> None:
    """Replace a file in one step; its folder is created.

    Raises:
        UserError: the disk is full or not writable; an existing file is left as it was.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, content)
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror})") from error


def write_json(path: Path, content: Any) -> None:
    """Replace a JSON file in one step; errors as in `write_file`."""
    write_file(path, (json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode())


def claim_folder(folder: Path) -> Path:
    """Create a folder for a new run; if it already holds anything, `-2`, `-3`, … is created.

    Raises:
        UserError: the folder cannot be created.
    """
    if not folder.name:
        folder = folder.resolve()
    if not folder.name:
        raise UserError(f"--out {folder}: a run needs a folder of its own; name one inside it")
    number = 1
    while True:
        candidate = folder if number == 1 else folder.with_name(f"{folder.name}-{number}")
        try:
            candidate.mkdir(parents=True)
            return candidate
        except FileExistsError:
            if candidate.is_dir() and not any(candidate.iterdir()):
                return candidate
            number += 1
        except OSError as error:
            raise UserError(f"{candidate}: cannot be created ({error.strerror})") from error
