"""Is the audio that is decoded the audio that was audited?"""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, BinaryIO

from asr_gate.corpus.digests import Method, Stamp, hash_stream, stamp_of, trusts_times
from asr_gate.corpus.errors import UserError
from asr_gate.corpus.utterance import Utterance

if TYPE_CHECKING:
    from asr_gate.corpus.heard import Heard


class AlteredAudio(UserError):
    """The audio of a row is not what the report was made for."""

    exit_code = 30


class AuditedAudio:
    """The digests of a corpus' audio, and which files were found to have them.

    A file is hashed when it is first opened. Later it counts as the same while inode, size and
    times are, on file systems whose times can be believed. On others it is read and hashed each
    time, unless the times are believed everywhere.
    """

    def __init__(
        self, digests: Mapping[str, str], method: Method, *, believe_times: bool = False
    ) -> None:
        """Nothing is hashed yet.

        Args:
            digests: of each utterance's audio, by id, as `fingerprint` found them.
            method: how they were made.
            believe_times: whether all file systems' times are good enough.
        """
        self._digests = digests
        self._method = method
        self._believe_times = believe_times
        self._checked: dict[tuple[int, Stamp], str] = {}

    def also(self, digests: Mapping[str, str]) -> AuditedAudio:
        """These, and the digests of further rows, made in the same way."""
        return AuditedAudio(
            {**self._digests, **digests}, self._method, believe_times=self._believe_times
        )

    def heard(self, rows: Iterable[Utterance]) -> Heard:
        """What is kept of rows that a model learns from."""
        from asr_gate.corpus.heard import Heard  # not in the decoder, which starts often

        return Heard.of(rows, self._digests, self._method)

    def require(self, utterance: Utterance, stream: BinaryIO) -> BinaryIO:
        """Check an open file against the audit; returns what to decode, from its start.

        Raises:
            AlteredAudio: it differs.
        """
        if isinstance(stream, io.BytesIO):
            found = hashlib.sha256(stream.getbuffer()).hexdigest()
        elif self._believe_times or trusts_times(os.fstat(stream.fileno()).st_dev):
            key = self._key(stream)
            found = self._checked.get(key) or hash_stream(stream, self._method)
            self._checked[key] = found
            stream.seek(0)
        else:
            # A copy: what is hashed is what is decoded.
            stream = io.BytesIO(stream.read())
            found = hash_stream(stream, self._method)
            stream.seek(0)
        if found != self._digests.get(utterance.id):
            raise self._altered(utterance)
        return stream

    def require_unchanged(self, utterance: Utterance, stream: BinaryIO) -> None:
        """Check, after decoding, that the file did not change meanwhile.

        Raises:
            AlteredAudio: it did.
        """
        if not isinstance(stream, io.BytesIO) and self._key(stream) not in self._checked:
            raise self._altered(utterance)

    @staticmethod
    def _key(stream: BinaryIO) -> tuple[int, Stamp]:
        found = os.fstat(stream.fileno())
        return found.st_dev, stamp_of(found)

    @staticmethod
    def _altered(utterance: Utterance) -> AlteredAudio:
        return AlteredAudio(
            f"{utterance.origin} '{utterance.id}': {utterance.audio_name} is not the audio that "
            "was audited; audit again"
        )
