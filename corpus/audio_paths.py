"""Where the audio of a manifest may lie: in its own folder, or in the one that its paths share."""

from __future__ import annotations

import os.path
from collections.abc import Sequence
from pathlib import Path

from asr_gate.corpus.formats.format import AUDIO_COLUMNS, Row


def audio_folder(rows: Sequence[Row], base: Path) -> Path:
    """The folder that the audio of some rows must lie in."""
    try:
        return (_shared_folder(rows) or base).resolve()
    except (OSError, ValueError, RuntimeError):  # no folder can have this name
        return base.resolve()


def _shared_folder(rows: Sequence[Row]) -> Path | None:
    """The folder that all audio shares if every path is absolute; None if one is not.

    The root of the disk does not count as shared.
    """
    folders = set()
    for row in rows:
        if row.fault or row.skip:
            continue
        name = next((row.fields[c] for c in AUDIO_COLUMNS if row.fields.get(c)), None)
        if not isinstance(name, str) or not os.path.isabs(name):  # noqa: PTH117
            return None
        folders.add(os.path.normpath(os.path.dirname(name)))  # noqa: PTH120
    shared = Path(os.path.commonpath(folders)) if folders else Path()
    return shared if len(shared.parts) > 1 else None


class AllowedFolders:
    """The folders that audio may lie in."""

    def __init__(self, roots: Sequence[Path]) -> None:
        self.roots = tuple(str(root) for root in roots)
        self._folders: dict[str, str] = {}

    def holds(self, audio: Path) -> bool:
        """Whether a file lies in one of them, links resolved.

        Raises:
            OSError, ValueError, RuntimeError: no file can have this name.
        """
        # Resolving whole paths row by row is most of what reading a corpus would take.
        folder = str(audio.parent)
        if folder not in self._folders:
            self._folders[folder] = str(audio.parent.resolve())
        path = os.path.join(self._folders[folder], audio.name)  # noqa: PTH118
        if audio.name in ("", "..") or os.path.islink(path):  # noqa: PTH114
            path = str(audio.resolve())
        elif "\0" in path:
            raise ValueError("embedded null byte")
        return held_by(path, self.roots)

    def inside(self, name: str) -> str:
        """An absolute name without the allowed folder that holds it; any other name as it is."""
        if os.path.isabs(name):  # noqa: PTH117
            path = str(Path(name))
            for root in self.roots:
                if _inside(path, root):
                    return path[len(root) :].lstrip("/") or "."
        return name


def held_by(path: str, roots: Sequence[str]) -> bool:
    """Whether a path, links resolved, lies in one of some folders."""
    return any(_inside(path, root) for root in roots)


def _inside(path: str, root: str) -> bool:
    return path == root or path.startswith(root if root.endswith("/") else root + "/")
