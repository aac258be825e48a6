"""Audio in tar files: where each member lies, and its bytes. Nothing is unpacked."""

from __future__ import annotations

import os
import tarfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import BinaryIO

from asr_gate.corpus.errors import UserError
from asr_gate.corpus.files import MEGABYTE, SETTINGS_LIMIT, open_regular
from asr_gate.corpus.formats.format import Change, Format, Source
from asr_gate.corpus.inside import TarAudio
from asr_gate.corpus.objects import local_copy

LARGEST = 1000 * MEGABYTE
"""Bytes of one member that holds audio: it is read as a whole."""
UNWRITTEN = "tar files are not written; asr train leaves the same rows out by itself"


class TarFormat(Format):
    """A format with its audio in tar files, which stay as they are."""

    def write(self, source: Source, target: Path, change: Change, split: str | None) -> None:
        """Not supported.

        Raises:
            UserError: always.
        """
        raise UserError(f"{source.path}: {UNWRITTEN}")

    def untextable(self, source: Source) -> str:
        """No text is changed."""
        return UNWRITTEN

    def untrimmable(self, source: Source) -> str:
        """No audio is trimmed."""
        return UNWRITTEN


class Tar:
    """An open tar file of a source."""

    def __init__(self, place: str, stream: BinaryIO) -> None:
        self._place = place
        self._stream = stream

    def members(self) -> Iterator[tarfile.TarInfo]:
        """The regular files in it, in order.

        Raises:
            UserError: it is no tar file, or ends too early.
        """
        try:
            with tarfile.open(fileobj=_Headers(self._stream), mode="r:") as archive:  # type: ignore[call-overload]
                for member in archive:
                    if member.isreg() and not member.issparse():
                        yield member
        except (tarfile.TarError, OSError, ValueError, OverflowError) as error:
            raise UserError(
                f"{self._place}: not a whole tar file ({error}); write it again, not compressed"
            ) from error

    def text(self, member: tarfile.TarInfo) -> str:
        """The text of a small member.

        Raises:
            ValueError: it is large, or not UTF-8.
        """
        if member.size > SETTINGS_LIMIT:
            raise ValueError(f"over {SETTINGS_LIMIT // MEGABYTE} MB")
        self._stream.seek(member.offset_data)
        return self._stream.read(member.size).decode("utf-8-sig")

    def audio(self, member: tarfile.TarInfo) -> TarAudio:
        """The audio of a member."""
        return TarAudio(self._place, member.offset_data, member.size)


@contextmanager
def opened(source: Source, path: Path) -> Iterator[Tar]:
    """Open a tar file of a source; of one in a store, all of it is fetched.

    Raises:
        UserError: it is not there, or cannot be read.
    """
    remote = source.mirror.audio_at(path) if source.mirror else None
    place = remote.url if remote else str(path)
    copy: AbstractContextManager[Path] = local_copy(place) if remote else nullcontext(path)
    try:
        with copy as local, open_regular(local) as stream:
            yield Tar(place, stream)
    except OSError as error:
        raise UserError(f"{place}: cannot be read ({error.strerror or error})") from error


class _Headers:
    """A stream from which only small pieces are read, whatever a header says of its length."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def read(self, size: int) -> bytes:
        if size > SETTINGS_LIMIT:
            raise OSError(f"a header of {size} bytes")
        return self._stream.read(size)

    def seek(self, place: int, whence: int = os.SEEK_SET) -> int:
        return self._stream.seek(place, whence)

    def tell(self) -> int:
        return self._stream.tell()
