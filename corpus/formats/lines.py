"""Lines of manifests, JSON objects among them: read, edited, and written as they came."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

from asr_gate.corpus.errors import UserError
from asr_gate.corpus.files import MEGABYTE, open_regular
from asr_gate.corpus.formats.format import TEXT_COLUMNS, Change, TextChange, Trim
from asr_gate.corpus.strict import parse_json

LONGEST_LINE = 64_000_000
"""Bytes. A small compressed file can hold a line that no memory can."""

AT_ONCE = 1 << 18
"""Bytes that are read together."""
MOST_GROWTH = 100
"""Times its size, and a megabyte, that a compressed manifest may have when it is decompressed; 10
times are usual."""
MOST_BLANKS = 1_000_000
"""Blank lines of a manifest; they compress to nothing, and take time."""

FIRST = 1000
"""Lines that are looked at to tell the format."""

BOM = b"\xef\xbb\xbf"

NOT_UTF8 = "not UTF-8; save the file as UTF-8"


def lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """The lines of a file that are not blank, numbered from 1; `.gz` is decompressed.

    Raises:
        UserError: the file cannot be read, a line is longer than `LONGEST_LINE`, or it has more
            blank lines, or grows more when it is decompressed, than a manifest does.
    """
    blanks = 0
    for number, line in enumerate(every_line(path), start=1):
        if line.strip():
            yield number, line.removeprefix(BOM) if number == 1 else line
            continue
        blanks += 1
        if blanks > MOST_BLANKS:
            raise UserError(
                f"{path}:{number}: over {MOST_BLANKS} blank lines; no manifest has them"
            )


def every_line(path: Path) -> Iterator[bytes]:
    """All lines of a file, with their line ends, as they are stored; `.gz` is decompressed.

    Raises:
        UserError: as `lines` does.
    """
    try:
        with _open(path) as stream:
            number = size = 0
            most = MEGABYTE + MOST_GROWTH * path.stat().st_size
            rest = b""
            # Many lines at once: one by one they take as long as to be parsed.
            while some := stream.read(AT_ONCE):
                size += len(some)
                if size > most:
                    raise UserError(
                        f"{path}:{number + 1}: grows over {MOST_GROWTH}-fold; no manifest does"
                    )
                *whole, rest = (rest + some).split(b"\n")
                if len(whole[0] if whole else rest) >= LONGEST_LINE:
                    raise UserError(
                        f"{path}:{number + 1}: longer than {LONGEST_LINE} bytes; no row is"
                    )
                number += len(whole)
                for line in whole:
                    yield line + b"\n"
            if rest:
                yield rest
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise UserError(f"{path}: not a whole gzip file ({error}); compress it again") from error
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror or error})") from error


def _open(path: Path) -> BinaryIO:
    return gzip.open(path) if path.suffix.lower() == ".gz" else open_regular(path)  # type: ignore[return-value]


def store(path: Path, content: Iterable[bytes]) -> None:
    """Write a file, compressed if its name ends in `.gz`. Equal content gives equal bytes."""
    with path.open("wb") as file:
        if path.suffix.lower() != ".gz":
            file.writelines(content)
            return
        with gzip.GzipFile("", "wb", fileobj=file, mtime=0) as stream:
            stream.writelines(content)


def text_of(line: bytes) -> str | None:
    """A line as text; None: it is not UTF-8."""
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError:
        return None


def json_object(line: bytes) -> dict[str, Any] | str:
    """The JSON object of a line, or what is wrong with it."""
    text = text_of(line)
    if text is None:
        return NOT_UTF8
    try:
        value = parse_json(text)
    except ValueError as error:
        return f"not JSON ({error}); one object a line is expected"
    if not isinstance(value, dict):
        return "not a JSON object; one a line is expected"
    return value


def first_object(path: Path) -> dict[str, Any]:
    """The first JSON object among the first lines of a file; empty if there is none.

    Raises:
        UserError: the file cannot be read.
    """
    for _, line in islice(lines(path), FIRST):
        found = json_object(line)
        if isinstance(found, dict):
            return found
    return {}


_AS_WRITTEN = json.JSONEncoder(ensure_ascii=False).encode


def json_bytes(value: dict[str, Any]) -> bytes:
    """One object as NeMo and Lhotse write it: letters as they are, not escaped."""
    try:
        return _AS_WRITTEN(value).encode()
    except UnicodeEncodeError:  # half a surrogate pair can only be escaped
        return json.dumps(value).encode()


def json_lines_without(manifest: Path, change: Change) -> Iterator[bytes]:
    """The lines of a JSONL file that stay, corrected where they are, and of each Lhotse cut the
    supervisions that stay."""
    for number, line in enumerate(every_line(manifest), start=1):
        origin = f"{manifest}:{number}"
        if not change.drops(origin):
            yield _edited(line, origin, change) if change.edits(origin) else line


def _edited(line: bytes, origin: str, change: Change) -> bytes:
    value = json_object(line.removeprefix(BOM))
    assert isinstance(value, dict), f"{origin} was read as an object before"
    here = change.ids[origin]
    staying = [one for one in here if one not in change.dropped]
    if _is_row(value):
        # Of a supervision alone the recording counts from its start.
        begins = "start" if "recording_id" in value else "offset"
        value = _corrected(value, change.texts.get(here[0]))
        value = _trimmed(value, change.trims.get(here[0]), begins)
    else:  # a cut: its supervisions are the rows
        several = len(here) > 1
        pairs = zip(value["supervisions"], here, strict=True)
        supervisions = [
            _corrected(
                {**supervision, "id": one} if several and one in change.write_ids else supervision,
                change.texts.get(one),
            )
            for supervision, one in pairs
            if one not in change.dropped
        ]
        value["supervisions"] = supervisions
        if any(one in change.trims for one in staying):
            _trim_cut(value, [change.trims.get(one) for one in staying])
    # A cut with one supervision goes by its own id.
    if len(staying) == 1 and (len(here) > 1 or staying[0] in change.write_ids):
        value["id"] = staying[0]
    return json_bytes(value) + line[len(line.rstrip(b"\r\n")) :]


def _is_row(value: dict[str, Any]) -> bool:
    """Whether an object is a row itself, and not a cut, whose supervisions are."""
    return "supervisions" not in value or _text_column(value) is not None


def _text_column(row: dict[str, Any]) -> str | None:
    return next((name for name in TEXT_COLUMNS if name in row), None)


def _corrected(row: dict[str, Any], correction: TextChange | None) -> dict[str, Any]:
    """A row with its transcript corrected."""
    if correction is None:
        return row
    column = _text_column(row) or TEXT_COLUMNS[0]  # a supervision may be without a text
    return {**row, column: correction.applied(row.get(column))}


def _trimmed(row: dict[str, Any], trim: Trim | None, begins: str) -> dict[str, Any]:
    """A row that has less of its recording; times of words, which were for all of it, go."""
    if trim is None:
        return row
    row = {name: value for name, value in row.items() if name != "alignment"}
    return {**row, begins: trim.offset, "duration": trim.duration}


def _trim_cut(cut: dict[str, Any], trims: list[Trim | None]) -> None:
    """Trim a cut with its only supervision, or else supervisions within it."""
    start = cut["start"]
    if len(trims) == 1 and (only := trims[0]) is not None:
        cut |= {"start": only.offset, "duration": only.duration}
        start = only.offset
    cut["supervisions"] = [
        _trimmed(
            supervision,
            None if trim is None else Trim(round(trim.offset - start, 8), trim.duration),
            "start",
        )
        for supervision, trim in zip(cut["supervisions"], trims, strict=True)
    ]
