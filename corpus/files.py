"""Reading and writing files that anybody may have put there, and the folders of the project."""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
import stat
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from io import BufferedReader
from pathlib import Path

MEGABYTE = 1_000_000

SETTINGS_LIMIT = MEGABYTE
"""Most bytes of a file that people write: a policy, a recipe, a key, `asr.toml`."""
RECORD_LIMIT = 1000 * MEGABYTE
"""Most bytes of a file that we write and read back as a whole: a report, a table."""


def open_regular(path: Path) -> BufferedReader:
    """Open a file for reading if it is a regular one; links to one are followed.

    What was opened is what was checked: a file that is swapped in between is found out.

    Raises:
        OSError: there is none, or it is a folder, or a pipe or a device, which might never end.
    """
    try:
        # A pipe without a writer would otherwise be waited for.
        opened = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    except ValueError as error:  # a null byte in the path
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path)) from error
    try:
        if not stat.S_ISREG(os.fstat(opened).st_mode):
            raise OSError(errno.EINVAL, "not a regular file", str(path))
        return os.fdopen(opened, "rb")
    except BaseException:
        os.close(opened)
        raise


def read_regular(path: Path, limit: int, *, shell_pipe: bool = False) -> bytes:
    """Read a regular file as a whole.

    Args:
        path: the file; links to one are followed.
        limit: bytes that it may have.
        shell_pipe: whether it may be a pipe that the user's shell opened, as for `<(command)`.

    Raises:
        OSError: there is none, it is a pipe or a device, or it is larger.
    """
    ours = shell_pipe and path.parent == Path("/dev/fd")
    with path.open("rb") if ours else open_regular(path) as stream:
        content = stream.read(limit + 1)
    if len(content) > limit:
        raise OSError(errno.EFBIG, f"larger than {limit // MEGABYTE} MB", str(path))
    return content


def cache_home() -> Path:
    """The project's folder for what can be computed again, under XDG_CACHE_HOME or `~/.cache`.

    Raises:
        RuntimeError: the user has no home folder.
    """
    import platformdirs

    return _home(platformdirs.user_cache_path("asr-gate", appauthor=False), "XDG_CACHE_HOME")


def state_home() -> Path:
    """The project's folder for work in progress, under XDG_STATE_HOME or `~/.local/state`.

    Raises:
        RuntimeError: the user has no home folder.
    """
    import platformdirs

    return _home(platformdirs.user_state_path("asr-gate", appauthor=False), "XDG_STATE_HOME")


def _home(path: Path, variable: str) -> Path:
    if not path.is_absolute():
        raise RuntimeError(f"there is no home folder; set {variable}")
    return path


def make_private(folder: Path) -> None:
    """Make a folder that only this user can read, or check that it is one.

    Raises:
        PermissionError: it is a link, belongs to somebody else, or others may write there.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o077:
        raise PermissionError(errno.EPERM, "not a folder of this user alone", str(folder))


def relative_to(path: str | Path, folder: Path) -> str:
    """An absolute path as it is named from a folder, if it lies in or under it.

    What is kept so still fits after the folder was moved.
    """
    plain = Path(os.path.normpath(path))
    return str(plain.relative_to(folder) if plain.is_relative_to(folder) else plain)


def lies_in(path: str, folders: Iterable[str]) -> bool:
    """Whether an absolute path, its links resolved, is one of some folders or lies below one."""
    return any(path == one or path.startswith(one.rstrip("/") + "/") for one in folders)


def write_atomically(path: Path, content: bytes | Iterable[bytes]) -> None:
    """Write a file beside the path and rename it, so that nobody ever reads half a file.

    The name of the file beside it cannot be guessed, so that no link can wait there.

    Args:
        path: the file.
        content: as a whole, or in pieces.

    Raises:
        OSError: no space, no permission; an earlier file stays.
    """
    new = path.with_name(f".{path.name}-{secrets.token_hex(8)}.tmp")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        with os.fdopen(os.open(new, flags, 0o666), "wb") as stream:
            stream.writelines([content] if isinstance(content, bytes) else content)
            stream.flush()
            os.fsync(stream.fileno())
        new.replace(path)
    except OSError as error:
        new.unlink(missing_ok=True)
        # The message names the file that was asked for.
        raise OSError(error.errno, error.strerror, str(path)) from error
    except BaseException:
        new.unlink(missing_ok=True)
        raise


LOCK_FILE = ".lock"
"""In each folder that is held. On NFS other machines see only locks on files that are open for
writing, and not those on folders."""


def take(folder: Path, patience: float = 0.0) -> int | None:
    """Hold a folder until the descriptor is closed here and in all processes that inherited it.

    The system closes it when a process ends, however it ends.

    Args:
        folder: made where it is missing.
        patience: seconds to wait for it; `is_held` has it for a moment.

    Returns:
        The descriptor; None: another process holds the folder.

    Raises:
        OSError: nothing can be written there, or the file system has no locks.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / LOCK_FILE
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    until = time.monotonic() + patience
    while True:
        opened = os.open(path, flags, 0o644)
        try:
            fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Who held it before may have removed the file in between.
            with suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(opened), path.lstat()):
                    return opened
        except BlockingIOError:
            if time.monotonic() >= until:
                os.close(opened)
                return None
            time.sleep(0.02)
        except BaseException:
            os.close(opened)
            raise
        os.close(opened)


@contextmanager
def held(folder: Path, patience: float = 0.1) -> Iterator[None]:
    """Hold a folder while something is written into it, as `take` does.

    Raises:
        BlockingIOError: another process holds it.
        OSError: as of `take`.
    """
    lock = take(folder, patience)
    if lock is None:
        raise BlockingIOError(errno.EWOULDBLOCK, "held by another process", str(folder))
    try:
        yield
    finally:
        (folder / LOCK_FILE).unlink(missing_ok=True)
        os.close(lock)


def is_held(folder: Path) -> bool:
    """Whether a process holds a folder."""
    try:
        opened = os.open(folder / LOCK_FILE, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(opened, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(opened)
    return False
