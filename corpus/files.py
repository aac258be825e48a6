"""Files that are there as a whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path


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
    except BaseException:
        new.unlink(missing_ok=True)
        raise
