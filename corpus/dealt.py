"""Short records dealt into buckets on disk, to be sorted or compared a bucket at a time."""

from __future__ import annotations

import os
import tempfile
from collections import Counter
from collections.abc import Hashable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    _T = TypeVar("_T", bound=np.generic)

BUCKETS = 256
AT_ONCE = 1 << 16
"""Bytes of a bucket that are written together."""


def big_file_folder() -> str | None:
    """Where large files without a name lie: on a disk, where there is one.

    `/tmp` may lie in memory.
    """
    return os.environ.get("TMPDIR") or ("/var/tmp" if Path("/var/tmp").is_dir() else None)  # noqa: S108


def on_disk(array: NDArray[_T]) -> NDArray[_T]:
    """An array in a file without a name, of which only what is looked at is in memory."""
    import numpy as np  # here, because the gate works without it

    if not array.size:
        return array
    with tempfile.TemporaryFile(dir=big_file_folder()) as file:
        file.write(np.ascontiguousarray(array).data)
        file.flush()
        return np.memmap(file, array.dtype, "r", shape=array.shape)


class Dealt:
    """Records of one length whose first byte is as good as random, by this byte.

    In memory are at most 16 MB, however many there are.
    """

    def __init__(self, length: int) -> None:
        """Nothing is there yet; `length` in bytes."""
        self._length = length
        self._buffers = [bytearray() for _ in range(BUCKETS)]
        self._written: list[list[tuple[int, int]]] = [[] for _ in range(BUCKETS)]
        self._file = tempfile.TemporaryFile(dir=big_file_folder())  # noqa: SIM115
        self._end = 0

    def add(self, record: bytes) -> None:
        """Put a record into its bucket."""
        buffer = self._buffers[record[0]]
        buffer += record
        if len(buffer) >= AT_ONCE:
            self._file.write(buffer)
            self._written[record[0]].append((self._end, len(buffer)))
            self._end += len(buffer)
            buffer.clear()

    def buckets(self) -> Iterator[list[bytes]]:
        """The records of one bucket after the other, by the first byte, in the order they came."""
        self._file.flush()
        for written, buffer in zip(self._written, self._buffers, strict=True):
            parts = [os.pread(self._file.fileno(), size, start) for start, size in written]
            every = b"".join([*parts, buffer])
            yield [every[at : at + self._length] for at in range(0, len(every), self._length)]


def repeated(values: Iterable[Hashable]) -> set[int]:
    """Hashes of the values that come more than once, of however many."""
    hashes = Dealt(8)
    for value in values:
        hashes.add(hash(value).to_bytes(8, signed=True))
    found: set[int] = set()
    for bucket in hashes.buckets():
        if len(set(bucket)) < len(bucket):
            counts = Counter(bucket)
            found |= {int.from_bytes(one, signed=True) for one in counts if counts[one] > 1}
    return found
