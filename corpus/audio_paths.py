"""Where the audio of a manifest may lie: in its own folder, or in one that the user names.

A manifest cannot choose the folder itself: one of a stranger would have private files read.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path

from asr_gate.corpus.errors import UserError
from asr_gate.corpus.files import lies_in
from asr_gate.corpus.formats.format import AUDIO_COLUMNS, Row, Source
from asr_gate.corpus.storage import below, is_url, shown, url_of

VARIABLE = "ASR_AUDIO_ROOT"
"""Environment variable: folders and URLs that audio may lie in, with `:` between them."""


def allowed_folders(rows: Iterable[Row], source: Source, audio_root: Path | None) -> AllowedFolders:
    """The folders that the audio of some rows may lie in.

    Args:
        rows: as the format found them; read to the end only if every path is absolute.
        source: where they are from.
        audio_root: one more folder, or URL, that is allowed; further ones come from the
            environment.

    Raises:
        UserError: every path is absolute, and the folder that all share is not allowed.
    """
    base = source.base
    given: list[str | Path] = [*_of_environment()]
    if audio_root is not None:
        given.insert(0, audio_root)
    urls = [url for one in given if (url := url_of(one)) is not None]
    extra = [Path(one) for one in given if url_of(one) is None]
    if source.mirror and (own := source.mirror.audio_at(base / "_")):
        urls.insert(0, own.url.removesuffix("/_"))
    shared = _shared_folder(rows)
    allowed = AllowedFolders([base, *source.roots, *extra], [shared or base, *extra], urls)
    if shared and not lies_in(_resolved(shared), allowed.roots):
        raise UserError(
            f"{source.path}: its audio lies in {shared}, which a manifest cannot allow by itself; "
            f"add --audio-root {shlex.quote(str(shared))} (or set {VARIABLE} once)"
        )
    return allowed


def audio_root_of_project(root: Path, file: Path) -> Path:
    """The audio root that a project's settings name.

    Raises:
        UserError: it lies outside of the settings' folder, and the environment does not allow it.
    """
    allowed = [Path(one) for one in _of_environment() if url_of(one) is None]
    inside = lies_in(_resolved(root), AllowedFolders([file.parent, *allowed]).roots)
    if not inside or url_of(root) is not None:
        raise UserError(
            f"{file}: audio_root {root} lies outside of this folder, which a file of a repository "
            f"cannot allow; leave it out, and add --audio-root {shlex.quote(str(root))} (or set "
            f"{VARIABLE} once)"
        )
    return root


def _of_environment() -> list[str]:
    # The colon of a URL parts nothing.
    return [one for one in re.split(r":(?!//)", os.environ.get(VARIABLE, "")) if one]


def _shared_folder(rows: Iterable[Row]) -> Path | None:
    """The folder that all audio shares if every path is absolute; None if one is not.

    The root of the disk does not count as shared.
    Rows without an id are named from there, so that ids do not tell where a corpus lies.
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
    """The folders, and the URLs, that audio may lie in."""

    def __init__(
        self, roots: Sequence[Path], named_from: Sequence[Path] = (), urls: Sequence[str] = ()
    ) -> None:
        """Folders as the user names them.

        Args:
            roots: the folders.
            named_from: those that rows without an id are named from.
            urls: below which audio may lie.
        """
        self._urls = tuple(urls)
        self.roots = tuple(map(_resolved, roots))
        self._named_from = tuple(map(_resolved, named_from))
        self._folders: dict[str, str] = {}
        self._last: tuple[Path, str, Path, bool] | None = None

    def placed(self, base: Path, name: str) -> tuple[Path, bool]:
        """A file by its name in a manifest, and whether it lies in one of them.

        Raises:
            OSError, ValueError, RuntimeError: no file can have this name.
        """
        # Segments of one recording mostly follow on each other.
        if self._last is None or self._last[1] != name or self._last[0] is not base:
            audio = base / name
            self._last = base, name, audio, self.holds(audio)
        return self._last[2:]

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
        return lies_in(path, self.roots)

    def allows(self, url: str) -> bool:
        """Whether a URL that a manifest names lies below one of those that the user names."""
        return any(below(url, base) is not None for base in self._urls)

    def inside(self, name: str) -> str:
        """An absolute name from the folder that rows are named from; any other name as it is."""
        if is_url(name):
            found = (below(name, base) for base in self._urls)
            return next((one for one in found if one is not None), shown(name))
        if os.path.isabs(name):  # noqa: PTH117
            path = str(Path(name))
            for root in self._named_from:
                if lies_in(path, [root]):
                    return path[len(root) :].lstrip("/") or "."
        return name


def _resolved(folder: Path) -> str:
    try:
        return str(folder.resolve())
    except (OSError, ValueError, RuntimeError):  # no folder can have this name, and none is in it
        return os.path.abspath(os.devnull)  # noqa: PTH100
