"""Audio inside a file with others: a member of a tar file, a cell of a parquet file.

The file lies on disk or in a store, and only the bytes that are asked for are read: of a tar file
those of the member, of a parquet file the audio column of one group of rows.
"""

from __future__ import annotations

import os
from bisect import bisect_right
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import astuple, dataclass
from functools import lru_cache
from itertools import accumulate
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from asr_gate.corpus.errors import UserError
from asr_gate.corpus.files import open_regular
from asr_gate.corpus.objects import Ranges, part
from asr_gate.corpus.storage import is_url

if TYPE_CHECKING:
    import pyarrow

OPEN = 4
"""Parquet files that are open at once, each with the audio of one group of rows in memory."""
MARK = "\0"
"""In no path and in no URL."""


@dataclass(frozen=True, slots=True)
class TarAudio:
    """Audio that is one member of a tar file."""

    tar: str
    """Path or URL."""
    start: int
    """Where its bytes begin."""
    size: int

    def read(self) -> bytes:
        """Its bytes.

        Raises:
            UserError: the tar file cannot be read.
        """
        try:
            if is_url(self.tar):
                return part(self.tar, self.start, self.start + self.size)
            with open_regular(Path(self.tar)) as stream:
                stream.seek(self.start)
                return stream.read(self.size)
        except OSError as error:
            raise UserError(f"{self.tar}: cannot be read ({error.strerror})") from error


@dataclass(frozen=True, slots=True)
class ParquetAudio:
    """Audio that is one cell of a parquet file."""

    file: str
    """Path or URL."""
    column: str
    row: int

    def read(self) -> bytes:
        """Its bytes.

        Raises:
            UserError: the file cannot be read.
        """
        return open_parquet(self.file).cell(self.column, self.row)


Inside = TarAudio | ParquetAudio


def kept(audio: Inside) -> str:
    """Where it is, as a string that no path and no URL is."""
    kind = "tar" if isinstance(audio, TarAudio) else "parquet"
    return MARK.join([kind, *map(str, astuple(audio))])


def from_kept(text: str) -> Inside:
    """What `kept` made a string of."""
    kind, file, of, number = text.split(MARK)
    if kind == "tar":
        return TarAudio(file, int(of), int(number))
    return ParquetAudio(file, of, int(number))


def open_parquet(place: str) -> Parquet:
    """A parquet file; those that were used last stay open.

    Raises:
        UserError: it is not there, or is no parquet file.
    """
    return _opened(place, os.getpid())


def forget() -> None:
    """Forget what this process has open: a corpus is read anew."""
    _opened.cache_clear()


@lru_cache(OPEN)
def _opened(place: str, process: int) -> Parquet:
    return Parquet(place)


class Parquet:
    """An open parquet file."""

    def __init__(self, place: str) -> None:
        """Read what it says of itself, at its end; raises as `open_parquet`."""
        import pyarrow as pa
        import pyarrow.parquet

        self._place = place
        self._lock = Lock()
        self._group: tuple[str, int, list[bytes | None]] | None = None
        """Column and number of the group whose audio is in memory."""
        try:
            self._ranges = Ranges(place) if is_url(place) else None
            stream: Any = self._ranges or open_regular(Path(place))
            self.file = pyarrow.parquet.ParquetFile(pa.PythonFile(stream, mode="r"))
        except (pa.ArrowException, OSError, ValueError) as error:
            raise self._unreadable(error) from error
        about = self.file.metadata
        counts = [about.row_group(number).num_rows for number in range(about.num_row_groups)]
        self.starts = [0, *accumulate(counts)]
        """The first row of each group, and the number of all."""

    def _unreadable(self, error: Exception) -> UserError:
        said = getattr(error, "strerror", None) or (str(error).splitlines() or [""])[0]
        return UserError(f"{self._place}: not a parquet file that can be read ({said})")

    def batches(self, group: int, columns: list[str]) -> Iterator[pyarrow.RecordBatch]:
        """Some columns of a group of rows; raises as `open_parquet`."""
        import pyarrow as pa

        with self._lock:
            try:
                found = self.file.read_row_group(group, columns=columns)
            except (pa.ArrowException, OSError, ValueError) as error:
                raise self._unreadable(error) from error
        yield from found.to_batches(1000)

    def missing(self, column: str, group: int) -> int:
        """How many rows of a group have no audio inside, by what the file says of itself."""
        for chunk in self._chunks(column, group):
            found = chunk.statistics
            if found is not None and found.has_null_count:
                return int(found.null_count)
        return 0

    def cell(self, column: str, row: int) -> bytes:
        """The bytes of a cell; raises as `open_parquet`."""
        import pyarrow as pa

        group = bisect_right(self.starts, row) - 1
        with self._lock:
            if self._group is None or self._group[:2] != (column, group):
                try:
                    self._group = (column, group, self._cells(column, group))
                except (pa.ArrowException, OSError, ValueError) as error:
                    raise self._unreadable(error) from error
            return self._group[2][row - self.starts[group]] or b""

    def _cells(self, column: str, group: int) -> list[Any]:
        """All cells of a group; of a file in a store, its bytes are kept on disk, too."""
        chunks = self._chunks(column, group)
        names = [chunk.path_in_schema for chunk in chunks]
        held: AbstractContextManager[None] = nullcontext()
        if self._ranges is not None and len(chunks) == 1:
            start = chunks[0].dictionary_page_offset or chunks[0].data_page_offset
            held = self._ranges.kept(start, start + chunks[0].total_compressed_size)
        with held:
            found = self.file.read_row_group(group, columns=names).column(0)
        cells: list[Any] = found.to_pylist()
        return [one["bytes"] if isinstance(one, dict) else one for one in cells]

    def _chunks(self, column: str, group: int) -> list[Any]:
        """What the file says of the bytes of a column in a group."""
        about = self.file.metadata.row_group(group)
        every = (about.column(number) for number in range(about.num_columns))
        return [one for one in every if one.path_in_schema in (column, f"{column}.bytes")]
