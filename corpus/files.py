"""Reading and writing files safely, and the folder for caches."""

from __future__ import annotations

import errno
import os
import os.path
from pathlib import Path


def read_regular(path: Path, most: int | None = None) -> bytes:
    """Read a file that somebody else may have put there.

    Args:
        path: the file; links to one are followed.
        most: bytes that are read at most.

    Raises:
        OSError: there is none, or it is a pipe or a device, which might never end.
    """
    if not os.path.isfile(path):  # noqa: PTH113  (never raises)
        code = errno.EINVAL if os.path.lexists(path) else errno.ENOENT
        raise OSError(code, "no regular file" if code == errno.EINVAL else os.strerror(code), path)
    with path.open("rb") as stream:
        return stream.read(-1 if most is None else most)


def cache_home() -> Path:
    """The project's folder for what can be computed again, under XDG_CACHE_HOME or `~/.cache`.

    Raises:
        RuntimeError: the user has no home folder.
    """
    import platformdirs

    path = platformdirs.user_cache_path("asr-gate", appauthor=False)
    if not path.is_absolute():
        raise RuntimeError("there is no home folder for a cache; set XDG_CACHE_HOME")
    return path


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file beside the path and rename it, so that nobody ever reads half a file.

    Raises:
        OSError: no space, no permission; an earlier file stays.
    """
    new = path.with_name(f".{path.name}-{os.getpid()}.tmp")
    try:
        with new.open("wb") as stream:
            stream.write(content)
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
