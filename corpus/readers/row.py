"""What every reader gives: rows, and the lines of the files that they are read from."""

from __future__ import annotations

import gzip
import json
import os.path
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from asr_gate.corpus.errors import UserError

AUDIO_COLUMNS = ("audio_filepath", "audio", "path", "file_name")
TEXT_COLUMNS = ("text", "sentence", "transcript", "transcription")
LANG_COLUMNS = ("lang", "locale")
SPEAKER_COLUMNS = ("speaker", "client_id")

LONGEST_LINE = 64_000_000
"""Bytes. A small compressed file can hold a line that no memory can."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row as a reader found it, before it is checked."""

    origin: str
    """Manifest and line, for messages."""
    fields: Mapping[str, Any] = field(default_factory=dict)
    fault: str | None = None
    """What is malformed; the manifest is refused."""
    skip: str | None = None
    """Why nobody can judge it, though it is well-formed; it is skipped and reported."""


def lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """The lines of a file that are not blank, numbered from 1; `.gz` is decompressed.

    Raises:
        UserError: the file cannot be read, or a line is longer than `LONGEST_LINE`.
    """
    for number, line in enumerate(every_line(path), start=1):
        if line.strip():
            yield number, line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line


def every_line(path: Path) -> Iterator[bytes]:
    """All lines of a file, with their ends, as they are stored; `.gz` is decompressed.

    Raises:
        UserError: as `lines` does.
    """
    try:
        with open_stored(path) as stream:
            number = 0
            while line := stream.readline(LONGEST_LINE):
                number += 1
                if len(line) == LONGEST_LINE:
                    raise UserError(f"{path}:{number}: longer than {LONGEST_LINE} bytes; no row is")
                yield line
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise UserError(f"{path}: not a whole gzip file ({error}); compress it anew") from error
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror or error})") from error


def open_stored(path: Path) -> BinaryIO:
    """Open a file for reading, through gzip where its name says so."""
    return gzip.open(path) if path.suffix.lower() == ".gz" else path.open("rb")  # type: ignore[return-value]


def text_of(line: bytes) -> str | None:
    """A line as text; None: it is not UTF-8."""
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError:
        return None


NOT_UTF8 = "not UTF-8; save the file as UTF-8"


def json_object(line: bytes) -> dict[str, Any] | str:
    """The JSON object of a line, or what is wrong with it."""
    text = text_of(line)
    if text is None:
        return NOT_UTF8
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        return f"not JSON ({error}); one object a line is expected"
    if not isinstance(value, dict):
        return "not a JSON object; one a line is expected"
    return value


def folder_or_here(folder: Path, name: object) -> Path:
    """Where the relative audio paths of a Kaldi folder or a Lhotse manifest start.

    The tools of both start them from the current folder; corpora that travel keep their audio
    beside them. The first recording's name decides.
    """
    if not isinstance(name, str) or os.path.isabs(name) or os.path.exists(folder / name):  # noqa: PTH110, PTH117
        return folder
    return Path.cwd()
