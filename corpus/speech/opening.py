"""Opening the audio of an utterance: the open file is checked, not what its path named before."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from asr_gate.corpus.files import lies_in, open_regular
from asr_gate.corpus.objects import RemoteAudio
from asr_gate.corpus.utterance import Utterance


@contextmanager
def open_audio(utterance: Utterance) -> Iterator[BinaryIO]:
    """Open the encoded audio of an utterance.

    A link may be swapped after the path was checked, so the file that is open is asked where it
    lies.

    Raises:
        OSError: no such file, no regular file, or it lies outside of the utterance's `roots`; or an
            object that is not there, or was changed.
        StorageError: its store cannot be read.
    """
    audio = utterance.audio
    if isinstance(audio, RemoteAudio):
        with audio.local() as path, open_regular(path) as stream:
            yield stream
        return
    if not isinstance(audio, Path):
        yield io.BytesIO(audio.read())
        return
    with open_regular(audio) as stream:
        if utterance.roots and not lies_in(_path_of(stream, audio), utterance.roots):
            raise PermissionError(1, "leaves the corpus root", str(audio))
        yield stream


def _path_of(stream: BinaryIO, audio: Path) -> str:
    """Where an open file lies, links resolved."""
    try:
        return os.readlink(f"/proc/self/fd/{stream.fileno()}")  # noqa: PTH115
    except OSError:  # only Linux says it of an open file
        return os.path.realpath(audio)
