"""Audio that lies in a store: fetched when it is opened, and kept in a bounded folder of the user.

What was fetched first goes first. A file that is open is locked, so no process takes it from
another. In CI, and with ASR_CACHE_GB=0, the folder goes when the process ends.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import secrets
import sqlite3
import stat
import tempfile
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from itertools import islice
from pathlib import Path
from typing import BinaryIO, Literal, TypeVar, cast

from asr_gate.corpus import storage
from asr_gate.corpus.cache import DEFAULT_GB, GIGABYTE, ROOM, Cache, cache_limit
from asr_gate.corpus.digests import BLOCK, BLOCKS, Method, digest_of, hash_stream
from asr_gate.corpus.files import cache_home, make_private
from asr_gate.corpus.storage import ObjectChanged, StorageError, Version

AHEAD = 32
"""Rows whose audio is fetched before it is asked for."""
READERS = 16
"""Objects that are fetched at once: a store answers late, and many at a time."""
WHOLE = 25 * BLOCKS * BLOCK
"""Bytes. Of larger objects a sampled digest fetches its blocks alone."""
DIGESTS = 50_000_000
"""Bytes of the cache of digests."""

T = TypeVar("T")

How = Literal["bytes", "checksum", "etag"]
"""Where a digest comes from: the bytes; a SHA-256 that the store keeps; or the bytes of an earlier
command, of which the store's ETag says that they are the same."""


@dataclass(frozen=True, slots=True)
class RemoteAudio:
    """One object that holds encoded audio."""

    url: str

    @contextmanager
    def local(self) -> Iterator[Path]:
        """A file with its bytes, which stays while the block runs; raises as `local_copy`."""
        with local_copy(self.url) as path:
            yield path

    def read(self) -> bytes:
        """Its bytes; raises as `local`."""
        with self.local() as path:
            return path.read_bytes()


@contextmanager
def local_copy(url: str) -> Iterator[Path]:
    """A file with the bytes of an object, which stays while the block runs.

    Raises:
        FileNotFoundError: there is no such object.
        ObjectChanged: it is not what this process first saw.
        StorageError: the store does not give it.
    """
    with _objects(os.getpid()).held(url) as path:
        yield path


def part(url: str, start: int, end: int) -> bytes:
    """Bytes of an object: of its copy, if there is one, or else they alone are fetched.

    Raises:
        FileNotFoundError, ObjectChanged, StorageError: as `local_copy`.
    """
    return _objects(os.getpid()).part(url, start, end)


def folder_of_copies() -> Path:
    """Where objects are kept: a file there can have a second name beside it."""
    return _objects(os.getpid()).folder


def prefetched(rows: Iterable[T], audio_of: Callable[[T], object]) -> Iterator[T]:
    """Some rows in their order, while the audio of the next ones is fetched if it is remote."""
    coming = iter(rows)
    waiting = deque(islice(coming, AHEAD))
    prefetch(map(audio_of, waiting))
    while waiting:
        yield waiting.popleft()
        for row in islice(coming, 1):
            prefetch([audio_of(row)])
            waiting.append(row)


def prefetch(sounds: Iterable[object]) -> None:
    """Begin to fetch what is remote of some audio; errors are left to whoever opens it."""
    for url in dict.fromkeys(one.url for one in sounds if isinstance(one, RemoteAudio)):
        _readers(os.getpid()).submit(_fetch_quietly, url)


def _fetch_quietly(url: str) -> None:
    with contextlib.suppress(OSError, StorageError), local_copy(url):
        pass


def remote_digests(
    sounds: Iterable[RemoteAudio], method: Method, *, cached: bool
) -> dict[RemoteAudio, tuple[str, How]]:
    """As `corpus.digests.digests`: equal to those of the same bytes on disk.

    Args:
        sounds: the objects; each is looked at once.
        method: as there.
        cached: whether digests of earlier commands may be used, by the ETag of the object.

    Raises:
        StorageError: a store cannot be read.
    """
    wanted = list(dict.fromkeys(sounds))
    known = _open_known() if wanted and cached else None
    try:
        # One after the other would wait for the store most of the time.
        found = _readers(os.getpid()).map(lambda one: _digest(one.url, method, known), wanted)
        return dict(zip(wanted, found, strict=True))
    finally:
        if known is not None:
            known.close()


def _digest(url: str, method: Method, known: Cache | None) -> tuple[str, How]:
    try:
        version = storage.version_of(url)
    except FileNotFoundError:
        return "missing", "bytes"
    if method == "full" and version.sha256:
        return version.sha256, "checksum"
    key = digest_of(["object", url, version.size, version.tag, method])
    if known is not None and version.strong and (kept := known.find(key)):
        return kept.decode(), "etag"
    try:
        if method == "sampled" and version.size > WHOLE:
            digest = hash_stream(cast(BinaryIO, Ranges(url)), method)
        else:
            with local_copy(url) as path, path.open("rb") as stream:
                digest = hash_stream(stream, method)
    except FileNotFoundError:
        return "missing", "bytes"
    except ObjectChanged as error:
        raise StorageError(f"{url}: changed while it was read; start again") from error
    if known is not None and version.strong:
        known.keep(key, digest.encode())
    return digest, "bytes"


def remote_sizes(sounds: Iterable[RemoteAudio]) -> dict[RemoteAudio, int]:
    """Bytes of objects; 0 where there is none. Raises StorageError."""

    def size(one: RemoteAudio) -> int:
        try:
            return storage.version_of(one.url).size
        except FileNotFoundError:
            return 0

    wanted = list(dict.fromkeys(sounds))
    return dict(zip(wanted, _readers(os.getpid()).map(size, wanted), strict=True)) if wanted else {}


class Ranges:
    """An object to seek and read in, of which only what is asked for is fetched."""

    closed = False

    def __init__(self, url: str) -> None:
        """Look at the object; raises as `part`."""
        self._url = url
        self._version = storage.version_of(url)
        self._at = 0
        self._kept: tuple[int, int, BinaryIO] | None = None

    @contextmanager
    def kept(self, start: int, end: int) -> Iterator[None]:
        """Fetch some bytes, or find them on disk, and read them from there within the block."""
        with (
            _objects(os.getpid()).held(self._url, (start, end)) as path,
            path.open("rb") as stream,
        ):
            self._kept = (start, end, stream)
            try:
                yield
            finally:
                self._kept = None

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._version.size}[whence]
        self._at = start + offset
        return self._at

    def tell(self) -> int:
        return self._at

    def read(self, size: int = -1) -> bytes:
        end = self._version.size if size < 0 else min(self._at + size, self._version.size)
        if self._kept and self._kept[0] <= self._at and end <= self._kept[1]:
            first, _, stream = self._kept
            stream.seek(self._at - first)
            found = stream.read(end - self._at)
        else:
            found = storage.read(self._url, self._version, self._at, end)
        self._at += len(found)
        return found


class _Objects:
    """Fetched objects in a folder of bounded size."""

    def __init__(self, folder: Path, limit: int) -> None:
        self.folder = folder
        self._limit = limit
        self._lock = threading.Lock()
        self._size: int | None = None
        """Bytes in the folder, as far as this process knows; None: it has not looked."""
        # So that no object is fetched twice at once.
        self._fetching = [threading.Lock() for _ in range(64)]

    @contextmanager
    def held(self, url: str, span: tuple[int, int] | None = None) -> Iterator[Path]:
        """The file of an object or of some bytes of it, fetched if it is not there.

        Raises as `RemoteAudio.local`.
        """
        version = storage.version_of(url)
        path = self._path(url, version, *(span or ()))
        opened = _open_locked(path)
        if opened is None:
            with self._fetching[int(path.name[:2], 16) % 64]:
                opened = _open_locked(path)
                if opened is None:
                    opened = self._fetch(url, version, path, *(span or (0, version.size)))
        try:
            yield path
        finally:
            os.close(opened)

    def part(self, url: str, start: int, end: int) -> bytes:
        """As the function."""
        version = storage.version_of(url)
        opened = _open_locked(self._path(url, version))
        if opened is None:
            return storage.read(url, version, start, end)
        with os.fdopen(opened, "rb") as stream:
            stream.seek(start)
            return stream.read(end - start)

    def _path(self, url: str, version: Version, *span: int) -> Path:
        key = digest_of([url, version.size, version.tag, *span])
        return self.folder / key[:2] / key

    def _fetch(self, url: str, version: Version, path: Path, start: int, end: int) -> int:
        """Fetch bytes of an object; their file is open and locked."""
        new = path.with_name(f".{secrets.token_hex(8)}")
        try:
            path.parent.mkdir(mode=0o700, exist_ok=True)
            opened = os.open(new, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise self._no_place(url, error) from error
        try:
            fcntl.flock(opened, fcntl.LOCK_SH)
            for piece in storage.pieces(url, version, start, end):
                self._write(opened, piece, url)
            new.replace(path)
        except BaseException:
            os.close(opened)
            new.unlink(missing_ok=True)
            raise
        with self._lock:
            if self._size is not None:
                self._size += end - start
            if self._size is None or self._size > self._limit:
                self._size = self._make_room()
        return opened

    def _write(self, opened: int, content: bytes, url: str) -> None:
        left = memoryview(content)
        try:
            while left:
                left = left[os.write(opened, left) :]
        except OSError as error:
            raise self._no_place(url, error) from error

    def _no_place(self, url: str, error: OSError) -> StorageError:
        return StorageError(
            f"{url}: cannot be kept in {self.folder} ({error.strerror}); make room there, or set "
            "XDG_CACHE_HOME to a folder on a larger disk"
        )

    def _make_room(self) -> int:
        """Remove what was fetched first, if there is too much; bytes that are left."""
        files = []
        for folder in os.scandir(self.folder):
            if len(folder.name) == 2:
                with contextlib.suppress(FileNotFoundError):
                    files += [
                        (one.stat().st_mtime_ns, one.stat().st_size, one.path)
                        for one in os.scandir(folder)
                    ]
        total = sum(size for _, size, _ in files)
        if total <= self._limit:
            return total
        for _, size, name in sorted(files):
            if total <= ROOM * self._limit:
                break
            if _remove_unused(name):
                total -= size
        return total


def _open_locked(path: Path) -> int | None:
    """Open a file and keep others from removing it; None: it is not there."""
    try:
        opened = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return None
    fcntl.flock(opened, fcntl.LOCK_SH)
    if os.fstat(opened).st_nlink and stat.S_ISREG(os.fstat(opened).st_mode):
        return opened
    os.close(opened)  # it was removed between the two
    return None


def _remove_unused(name: str) -> bool:
    """Remove a file, unless somebody has it open."""
    try:
        opened = os.open(name, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError as error:
        return error.errno == errno.ENOENT
    try:
        fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.unlink(name)  # noqa: PTH108
    except OSError:
        return False
    finally:
        os.close(opened)
    return True


@cache
def _objects(process: int) -> _Objects:
    """The cache as a process has it: its locks are of no use after a fork."""
    limit = cache_limit()
    if limit:
        with contextlib.suppress(OSError, RuntimeError):
            folder = cache_home() / "objects"
            make_private(folder)
            return _Objects(folder, limit)
    return _Objects(Path(_temporary().name), int(DEFAULT_GB * GIGABYTE))


@cache
def _temporary() -> tempfile.TemporaryDirectory[str]:
    """A folder that goes when the process ends."""
    return tempfile.TemporaryDirectory(prefix="asr-objects-")


@cache
def _readers(process: int) -> ThreadPoolExecutor:
    """Threads of this process that wait for stores."""
    return ThreadPoolExecutor(READERS, thread_name_prefix="store")


def _open_known() -> Cache | None:
    """Digests of objects by their ETags; None: there is no safe place, or this is CI."""
    if not cache_limit():
        return None
    try:
        folder = cache_home() / "objects"
        make_private(folder)
        return Cache(folder / "digests.sqlite3", DIGESTS)
    except (OSError, RuntimeError, sqlite3.Error):
        return None
