"""Rows in columns on disk: corpora larger than memory, read as one reads a list.

Blocks of rows, column by column, lie in a file that has no name, so that nothing is left behind,
whatever ends the process. Values that come again and again in a block are kept once.
"""

from __future__ import annotations

import marshal
import os
import tempfile
from array import array
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from operator import attrgetter
from pathlib import Path
from typing import IO, Any, TypeVar, overload

from asr_gate.corpus.dealt import big_file_folder
from asr_gate.corpus.inside import MARK, Inside, from_kept, kept
from asr_gate.corpus.objects import RemoteAudio
from asr_gate.corpus.storage import is_url
from asr_gate.corpus.utterance import AudioBytes, Corpus, Utterance

BLOCK = 4096
"""Rows of a block: of each column some 100 kB."""
IN_MEMORY = 50_000
"""Rows of a corpus that are kept as objects: some 50 MB."""
KEPT = 8
"""Blocks of rows that are kept when single rows are asked for."""
PLAIN = 2
"""Version of marshal's format that does not look for objects that come again."""
FIELDS = (
    *("id", "text", "audio", "audio_name", "origin", "offset", "duration"),
    *("lang", "domain", "speaker", "split", "roots"),
)


_V = TypeVar("_V")


def columns(rows: Sequence[Utterance], *names: str) -> Iterator[tuple[Any, ...]]:
    """Some fields of all rows, a tuple a row, without the rows themselves."""
    if isinstance(rows, Rows):
        return rows.columns(*names)
    if len(names) == 1:
        return ((getattr(row, names[0]),) for row in rows)
    return map(attrgetter(*names), rows)


def places(rows: Sequence[Utterance]) -> Iterator[str | AudioBytes]:
    """Where the audio of all rows lies: a path, or the URL of an object; or what is embedded.

    No path is a URL: in the string of a `Path`, slashes stand alone but for the first ones.
    """
    if isinstance(rows, Rows):
        stored = (place for (place,) in rows.columns("audio"))
        return (from_kept(place) if MARK in place else place for place in stored)
    return (_place(row.audio) for row in rows)


def _place(audio: Path | AudioBytes) -> str | AudioBytes:
    if isinstance(audio, RemoteAudio):
        return audio.url
    return str(audio) if isinstance(audio, Path) else audio


def _audio(place: str) -> Path | AudioBytes:
    if MARK in place:
        return from_kept(place)
    return RemoteAudio(place) if is_url(place) else Path(place)


class Columns:
    """Rows of strings and numbers, as many in each; appended once, and then read.

    Their file has no name, so that nobody else writes what is read from it.
    """

    def __init__(self, width: int) -> None:
        self._file: IO[bytes] = tempfile.TemporaryFile(dir=big_file_folder())  # noqa: SIM115
        self._width = width
        self.rows = BLOCK
        """Rows of a block."""
        self._last: list[tuple[Any, ...]] = []
        self._starts = array("Q", [0])
        """Where each column of each block begins in the file, and the end of all."""

    def __len__(self) -> int:
        return self._written * self.rows + len(self._last)

    def handed(self) -> tuple[int, dict[str, Any]]:
        """What another process reads the same rows by: a file, and what JSON can hold."""
        known = {"width": self._width, "rows": self.rows, "last": self._last}
        return self._file.fileno(), {**known, "starts": list(self._starts)}

    @classmethod
    def received(cls, file: int, known: dict[str, Any]) -> Columns:
        """The rows that another process handed over, to be read alone."""
        found = cls(known["width"])
        found._file, found.rows = os.fdopen(file, "rb"), known["rows"]
        found._starts = array("Q", known["starts"])
        found._last = [tuple(row) for row in known["last"]]
        return found

    @property
    def _written(self) -> int:
        """Blocks in the file."""
        return (len(self._starts) - 1) // self._width

    def append(self, row: tuple[Any, ...]) -> None:
        """Add a row."""
        self._last.append(row)
        if len(self._last) == self.rows:
            for column in zip(*self._last, strict=True):
                self._starts.append(self._starts[-1] + self._file.write(_packed(column)))
            self._file.flush()
            self._last.clear()

    def blocks(self, *numbers: int) -> Iterator[list[list[Any]]]:
        """Some columns, by their numbers, a block at a time."""
        for block in range(self._written):
            yield [self._column(block, number) for number in numbers]
        if self._last:
            every = list(zip(*self._last, strict=True))
            yield [list(every[number]) for number in numbers]

    def column(self, number: int) -> Iterator[Any]:
        """One column, value by value."""
        return (value for (block,) in self.blocks(number) for value in block)

    def block(self, block: int) -> list[list[Any]]:
        """All columns of one block."""
        if block == self._written:
            return [list(column) for column in zip(*self._last, strict=True)]
        return [self._column(block, number) for number in range(self._width)]

    def _column(self, block: int, number: int) -> list[Any]:
        at = block * self._width + number
        start, end = self._starts[at], self._starts[at + 1]
        return _unpacked(os.pread(self._file.fileno(), end - start, start))


def _packed(column: Sequence[Any]) -> bytes:
    """A column; one whose values repeat as its different values, and which is where."""
    places = {value: place for place, value in enumerate(dict.fromkeys(column))}
    if len(places) > len(column) // 2:
        return marshal.dumps((tuple(column), None), PLAIN)
    numbers = array("H", map(places.__getitem__, column))
    return marshal.dumps((tuple(places), numbers.tobytes()), PLAIN)


def _unpacked(stored: bytes) -> list[Any]:
    values, places = marshal.loads(stored)  # noqa: S302  (our own, in a file without a name)
    if places is None:
        return list(values)
    return list(map(values.__getitem__, array("H", places)))


class Rows(Sequence[Utterance]):
    """The utterances of a corpus, in their order, on disk. Each read makes new objects."""

    def __init__(self) -> None:
        self._columns = Columns(len(FIELDS))
        self._roots: dict[tuple[str, ...], int] = {}
        self._renamed: dict[int, str] = {}
        self._kept: OrderedDict[int, list[list[Any]]] = OrderedDict()

    def handed(self) -> tuple[int, dict[str, Any]]:
        """What another process reads the columns by, as those of `Columns`."""
        file, known = self._columns.handed()
        return file, {"columns": known, "renamed": list(self._renamed.items())}

    @classmethod
    def received(cls, file: int, known: dict[str, Any]) -> Rows:
        """The rows that another process handed over, of which `columns` alone can be read."""
        found = cls()
        found._columns = Columns.received(file, known["columns"])
        found._renamed = dict(known["renamed"])
        return found

    @staticmethod
    def take(row: Utterance) -> bool:
        """Whether a row can be kept on disk: its audio is known by where it lies."""
        return isinstance(row.audio, (Path, RemoteAudio, Inside))

    def append(self, row: Utterance) -> None:
        """Add a row that `take` takes."""
        roots = self._roots.setdefault(row.roots, len(self._roots))
        labels = row.offset, row.duration, row.lang, row.domain, row.speaker, row.split
        place = kept(row.audio) if isinstance(row.audio, Inside) else _place(row.audio)
        named = row.id, row.text, place, row.audio_name, row.origin
        self._columns.append((*named, *labels, roots))

    def rename(self, number: int, identity: str) -> None:
        """Give a row another id."""
        self._renamed[number] = identity
        self._kept.clear()

    def __len__(self) -> int:
        return len(self._columns)

    def columns(self, *names: str) -> Iterator[tuple[Any, ...]]:
        """Some fields of all rows, a tuple a row; `audio` as a string, `roots` cannot be had."""
        wanted = [FIELDS.index(name) for name in names]
        for block, found in enumerate(self._columns.blocks(*wanted)):
            if self._renamed and "id" in names:
                self._rename(block, found[names.index("id")])
            yield from zip(*found, strict=True)

    def _rename(self, block: int, ids: list[str]) -> None:
        for place in range(len(ids)):
            ids[place] = self._renamed.get(block * self._columns.rows + place, ids[place])

    def _block(self, number: int) -> list[list[Any]]:
        """All columns of one block, from which `_made` makes rows."""
        found = self._columns.block(number)
        if self._renamed:
            self._rename(number, found[0])
        return found

    def _made(self, fields: Iterable[tuple[Any, ...]]) -> Iterator[Utterance]:
        every = list(self._roots)
        sounds: dict[str, Path | AudioBytes] = {}
        for identity, text, place, *others, roots in fields:
            if place not in sounds:
                sounds[place] = _audio(place)
            row: Any = identity, text, sounds[place], *others, every[roots]
            yield Utterance(*row)

    def __iter__(self) -> Iterator[Utterance]:
        for number in range(-(-len(self) // self._columns.rows)):
            yield from self._made(zip(*self._block(number), strict=True))

    @overload
    def __getitem__(self, place: int) -> Utterance: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[Utterance]: ...
    def __getitem__(self, place: int | slice) -> Utterance | Sequence[Utterance]:
        if isinstance(place, slice):
            return [self[number] for number in range(*place.indices(len(self)))]
        number = place + len(self) if place < 0 else place
        if not 0 <= number < len(self):
            raise IndexError(place)
        block, at = divmod(number, self._columns.rows)
        if block not in self._kept:
            self._kept[block] = self._block(block)
            if len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        self._kept.move_to_end(block)
        return next(self._made([tuple(column[at] for column in self._kept[block])]))


def chosen(
    rows: Sequence[Utterance], values: Iterable[_V], wanted: Callable[[_V], bool]
) -> Iterator[tuple[Utterance, _V]]:
    """The rows whose values are wanted, with these; of a value a row, in the order of the rows."""
    return ((rows[at], value) for at, value in enumerate(values) if wanted(value))


def with_ids(rows: Sequence[Utterance], ids: Iterable[str]) -> dict[str, Utterance]:
    """The rows of some ids, by id, in the order of the corpus; ids that no row has are left out."""
    wanted = set(ids)
    if not isinstance(rows, Rows):
        return {row.id: row for row in rows if row.id in wanted}
    ids_of_rows = (one for (one,) in rows.columns("id"))
    return {one: row for row, one in chosen(rows, ids_of_rows, wanted.__contains__)}


def origins_of(corpus: Corpus, ids: Iterable[str]) -> dict[str, str]:
    """The relative origins of some rows, by id; ids that no row has are left out."""
    wanted = set(ids)
    origins = {row.id: row.origin for row in corpus.skipped if row.id in wanted}
    origins |= {one: row.origin for one, row in with_ids(corpus.utterances, wanted).items()}
    return {identity: corpus.relative_origin(origin) for identity, origin in origins.items()}
