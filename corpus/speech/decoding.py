"""Decoding in a process of its own, so that no file can end an audit.

A decoder is a library in C that reads what strangers wrote: a file may make it crash, or ask for
memory without end. Here that ends a helper process, which has a limit on its memory and on its
time, and the row is at fault.
"""

from __future__ import annotations

import json
import resource
import signal
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, get_args

import numpy as np

from asr_gate.corpus.audited import AlteredAudio, AuditedAudio
from asr_gate.corpus.digests import Method
from asr_gate.corpus.helper import Helper, HelperEnded
from asr_gate.corpus.objects import RemoteAudio
from asr_gate.corpus.speech.audio import (
    AudioError,
    EmptyAudio,
    Recording,
    load,
    stored_duration,
)
from asr_gate.corpus.speech.stored import Signal
from asr_gate.corpus.storage import ObjectChanged
from asr_gate.corpus.utterance import Seconds, Utterance

MEMORY = 1_500_000_000
"""Bytes that decoding may take beside the libraries."""
TRIES = 10
"""Processes that somebody may kill on one file."""
PATIENCE: Seconds = 120.0
"""The longest that one file may take; an hour of FLAC takes seconds."""

Expected = tuple[str, Method]
"""Digest of an utterance's audio, and how it was made."""

_RUN = "from asr_gate.corpus.speech.decoding import serve; serve()"


class Decoder:
    """A process that decodes one utterance after the other. It is started when it is needed."""

    def __init__(self) -> None:
        self._helper = Helper("the decoder", _RUN, PATIENCE)

    def load(
        self, utterance: Utterance, sample_rate: int, expected: Expected | None = None
    ) -> Recording:
        """As `corpus.speech.audio.load`.

        Args:
            utterance: one row of a corpus.
            sample_rate: samples a second of the result.
            expected: what the audio must be; None: anything.

        Raises:
            AudioError: as there; also if the file ended the process, took too long, or is not what
                is expected.
            StorageError: it lies in a store that cannot be read.
        """
        found, samples = self._answer(utterance, sample_rate, expected)
        if "error" in found:
            kind = EmptyAudio if found["empty"] else AudioError
            raise kind(found["error"])
        decoded = np.frombuffer(bytearray(samples), np.float32)
        return Recording(decoded, sample_rate, Signal(**found["signal"]))

    def stored_duration(self, utterance: Utterance) -> Seconds | None:
        """As `corpus.speech.audio.stored_duration`; None also if the file ended the process."""
        if utterance.duration is not None:
            return utterance.duration
        try:
            found, _ = self._answer(utterance, None, None)
        except AudioError:
            return None
        length: Seconds | None = found.get("length")
        return length

    def _answer(
        self, utterance: Utterance, sample_rate: int | None, expected: Expected | None
    ) -> tuple[dict[str, Any], bytes]:
        """What the process says of an utterance, and its samples; without a rate its length."""
        audio = utterance.audio
        if isinstance(audio, RemoteAudio):
            try:
                with audio.local() as path:
                    copied = replace(utterance, audio=path, roots=())
                    return self._answer(copied, sample_rate, expected)
            except FileNotFoundError as error:
                raise AudioError(f"{utterance.audio_name}: no such audio file") from error
            except ObjectChanged as error:
                raise AudioError(_changed(utterance.audio_name)) from error
        embedded = b"" if isinstance(audio, Path) else audio.read()
        request = {
            "rate": sample_rate,
            "expected": expected,
            "path": str(audio) if isinstance(audio, Path) else None,
            "name": utterance.audio_name,
            "bytes": len(embedded),
            "offset": utterance.offset,
            "duration": utterance.duration,
            "roots": utterance.roots,
        }
        for left in reversed(range(TRIES)):
            try:
                return self._helper.ask(request, embedded)
            except HelperEnded as error:
                # A kill comes from outside: a file that needs too much memory is told so.
                if not error.killed or not left:
                    reason = f"{utterance.audio_name}: cannot be decoded ({error})"
                    raise AudioError(reason) from error
        raise AssertionError("tried")

    def stop(self) -> None:
        """End the process."""
        self._helper.stop()


class _Embedded:
    """Audio that came with the request."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def read(self) -> bytes:
        return self._content


def serve() -> None:
    """Answer requests on standard input until it is closed; the body of the process."""
    # A scheduler may ask every process to stop; a row must not be at fault for that.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    questions, answers = sys.stdin.buffer, sys.stdout.buffer
    wanted: dict[str, str] = {}
    # The trainer is stricter; here, hashing a recording anew for each of its parts takes too long.
    audited = {
        method: AuditedAudio(wanted, method, believe_times=True) for method in get_args(Method)
    }
    limit = MEMORY + _address_space()
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    while line := questions.readline():
        asked = json.loads(line)
        embedded = questions.read(asked["bytes"])
        utterance = _utterance(asked, embedded)
        samples = b""
        told: dict[str, Any]
        check: AuditedAudio | None = None
        if asked["expected"] is not None:
            wanted[utterance.id], method = asked["expected"]
            check = audited[method]
        try:
            if asked["rate"] is None:
                told = {"length": stored_duration(utterance)}
            else:
                found = load(utterance, asked["rate"], check)
                samples = found.samples.tobytes()
                told = {"bytes": len(samples), "signal": asdict(found.signal)}
        except AlteredAudio:
            told = {"error": _changed(asked["name"]), "empty": False}
        except EmptyAudio as error:
            told = {"error": str(error), "empty": True}
        except AudioError as error:
            told = {"error": str(error), "empty": False}
        except MemoryError:
            reason = f"{asked['name']}: cannot be decoded (it needs too much memory)"
            told = {"error": reason, "empty": False}
        answers.write(json.dumps(told).encode() + b"\n" + samples)
        answers.flush()


def _changed(name: str) -> str:
    return f"{name}: changed since the audit began; audit again"


def _utterance(asked: dict[str, Any], embedded: bytes) -> Utterance:
    path = asked["path"]
    return Utterance(
        id="",
        text="",
        audio=_Embedded(embedded) if path is None else Path(path),
        audio_name=asked["name"],
        origin="",
        offset=asked["offset"],
        duration=asked["duration"],
        roots=tuple(asked["roots"]),
    )


def _address_space() -> int:
    """Bytes of memory that this process has mapped."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    except OSError:  # only Linux has it
        return 0
    return pages * resource.getpagesize()
