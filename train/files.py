"""Files and folders of a run; every failure is one line that names the path."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from asr_gate.corpus.digests import digests
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


def folder_digest(folder: Path, *, cached: bool = True) -> str | None:
    """`sha256:…` over the names and bytes of all files in a folder; None: it is no folder.

    Args:
        folder: as of a checkpoint; where it lies and what it is called do not matter.
        cached: whether digests of unchanged files may come from the user's cache.

    Raises:
        UserError: a file in it cannot be read.
    """
    if not folder.is_dir():
        return None
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    found = digests(files, "full", cached=cached)
    for path, digest in found.items():
        if digest in ("missing", "unreadable"):
            raise UserError(f"{path}: cannot be read; check its permissions")
    names = [[path.relative_to(folder).as_posix(), found[path]] for path in files]
    return "sha256:" + hashlib.sha256(json.dumps(sorted(names)).encode()).hexdigest()
