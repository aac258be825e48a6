"""Files that are there as a whole or not at all."""

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
    """The project's folder for what can be made again: under XDG_CACHE_HOME, default `~/.cache`.

    Raises:
        RuntimeError: whoever runs this has no home.
    """
    home = Path(os.environ.get("XDG_CACHE_HOME", ""))
    # Relative ones are to be ignored, says the XDG specification.
    base = home if home.is_absolute() else Path("~/.cache").expanduser()
    return base / "asr-gate"


def write_atomically(path: Path, content: bytes) -> None:
    """Write beside the place and rename into it, so that no reader and no crash sees half a file.

    Raises:
        OSError: no space, no permission; what stood there before stands.
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
        # The name beside is nobody's business.
        raise OSError(error.errno, error.strerror, str(path)) from error
    except BaseException:
        new.unlink(missing_ok=True)
        raise
