"""Manifests that lie in a store: copied to disk as they lie there, so that every format reads them.

The audio is not copied. A path that leads into the copy stands for an object of the store.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

from asr_gate.corpus import storage
from asr_gate.corpus.errors import UserError
from asr_gate.corpus.files import is_held, take
from asr_gate.corpus.objects import RemoteAudio, folder_of_copies, local_copy
from asr_gate.corpus.storage import StorageError

MOST_FILES = 100_000
"""In a folder that is named as a corpus."""
MOST_COPIED = 10_000
"""Manifests in such a folder, and folders in it that may have some."""

_LISTS = re.compile(
    r".+\.(jsonl|json|csv|tsv|scp)(\.gz)?|text|segments|(utt|spk|reco)2\w+", re.IGNORECASE
)
"""Names of files that say what is in a corpus."""
_METADATA = ("metadata.jsonl", "metadata.csv")
LEFT = 3600.0
"""Seconds after which copies that no process holds are removed."""
CLIPS = "clips"
TAR = ".tar"
READ_IN_PLACE = (TAR, ".parquet")
"""Such files are not copied, but their names are."""


@dataclass(frozen=True, slots=True)
class Mirror:
    """A folder with copies of the manifests of a folder in a store."""

    folder: Path
    url: str

    def named(self, text: str) -> str:
        """A text with the URL in place of the folder."""
        return text.replace(str(self.folder), self.url)

    def audio_at(self, path: Path) -> RemoteAudio | None:
        """What a path stands for; None: it does not lead into the copy."""
        inside = os.path.normpath(path)
        prefix = f"{self.folder}/"
        if not inside.startswith(prefix):
            return None
        return RemoteAudio(storage.joined(self.url, inside[len(prefix) :]))

    @contextmanager
    def telling(self) -> Iterator[None]:
        """Errors within the block name the URL, not the copy."""
        try:
            yield
        except UserError as error:
            raise type(error)(self.named(str(error))) from error


def mirrored(url: str) -> tuple[Path, Mirror]:
    """Copy a manifest, or the manifests of a folder.

    Args:
        url: as `storage.url_of` returns it.

    Returns:
        Where the manifest or folder lies on disk, and what its folder is a copy of.

    Raises:
        StorageError: there is nothing, or it cannot be read.
    """
    folder = Path(_copies().name) / str(next(_numbers))
    parent, _, name = url.rpartition("/")
    try:
        storage.version_of(url)
    except FileNotFoundError as error:
        if not storage.is_folder(url):
            raise storage.missing(url) from error
        folder.mkdir()
        _copy_folder(url, folder)
        return folder, Mirror(folder, url)
    folder.mkdir()
    if name.lower().endswith(READ_IN_PLACE):
        (folder / name).touch()
    else:
        _copy(url, folder / name)
    # A table of Common Voice is known by the folder beside it.
    if name.endswith(".tsv") and storage.is_folder(f"{parent}/{CLIPS}"):
        (folder / CLIPS).mkdir()
    return folder / name, Mirror(folder, parent)


def _copy_folder(url: str, folder: Path) -> None:
    names = storage.listed(url, MOST_FILES)
    folders = [name for name, file in names.items() if file is None]
    lists = {name: file for name, file in names.items() if file and _LISTS.fullmatch(name)}
    tars = [name for name, file in names.items() if file and name.lower().endswith(TAR)]
    for name in tars:
        (folder / name).touch()
    if len(lists) > MOST_COPIED:
        raise StorageError(f"{url}: holds {len(lists)} lists; name the manifest in it")
    for name, file in lists.items():
        _copy(file, folder / name)
    for name in folders[:MOST_COPIED]:
        (folder / name).mkdir()
    if not lists and not tars:  # splits are folders of their own, each with its metadata
        for name in folders[:MOST_COPIED]:
            for metadata in _METADATA:
                try:
                    _copy(f"{storage.joined(url, name)}/{metadata}", folder / name / metadata)
                except FileNotFoundError:
                    continue
                lists[name] = metadata
                break
    if not lists and not tars:
        raise StorageError(f"{url}: holds no manifest; name the manifest of the corpus")


def _copy(url: str, path: Path) -> None:
    """Put a file there: a second name of the copy that is kept, so that it takes no room twice."""
    with local_copy(url) as copy:
        path.hardlink_to(copy)


def copied(url: str, names: Sequence[str]) -> Path:
    """Copy those of some files of a folder that are there; the copy stays until the process ends.

    Args:
        url: of the folder, as `storage.url_of` returns it.
        names: of files in it.

    Returns:
        The folder of the copies; messages name the URL in its place, if they go through `named`.

    Raises:
        StorageError: the store cannot be read.
    """
    storage.forget()
    folder = Path(_copies().name) / str(next(_numbers)) / url.rpartition("/")[2]
    folder.mkdir(parents=True)
    stands_for(folder, url)
    for name in names:
        with contextlib.suppress(FileNotFoundError):
            _copy(storage.joined(url, name), folder / name)
    return folder


def stands_for(folder: Path, url: str) -> None:
    """Let `named` put a URL in place of a folder."""
    _named[str(folder)] = url


def stands_for_itself(folder: Path) -> None:
    """Let `named` leave a folder as it is."""
    _named.pop(str(folder), None)


def url_at(path: Path) -> str | None:
    """The URL that a folder or file on disk stands for; None: it stands for itself."""
    name = named(str(path))
    return None if name == str(path) else name


def named(text: str) -> str:
    """A text with URLs in place of the folders that stand for them."""
    for folder, url in _named.items():
        text = text.replace(folder, url)
    return text


_named: dict[str, str] = {}
"""URLs by the folders that stand for them."""
_numbers = count()


@cache
def _copies() -> TemporaryDirectory[str]:
    """A folder for all copies of this process, which goes with it."""
    home = folder_of_copies()
    for left in home.glob("manifests-*"):  # of processes that were killed
        if time.time() - left.stat().st_mtime > LEFT and not is_held(left):
            shutil.rmtree(left, ignore_errors=True)
    made = TemporaryDirectory(prefix="manifests-", dir=home)
    take(Path(made.name))  # until the process ends
    return made
