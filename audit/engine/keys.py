"""Under what measurements are kept: digests of all that decides them."""

from __future__ import annotations

import hashlib
import platform
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from asr_gate.audit.acoustic.interface import ModelInfo
from asr_gate.corpus.cache import digest_of
from asr_gate.corpus.speech.detector import Detector
from asr_gate.corpus.text.letters import Transcript
from asr_gate.corpus.utterance import Utterance

MEASURING = (
    "audit/acoustic",
    "audit/align",
    "audit/controls",
    "audit/engine",
    "audit/pairing",
    "audit/records",
    "corpus/speech",
    "corpus/text",
    "embedded",
)
"""Packages whose code decides what is measured."""

LIBRARIES = (
    "numba",
    "numpy",
    "onnxruntime",
    "rapidfuzz",
    "soundfile",
    "soxr",
    "torch",
    "torchaudio",
    "transformers",
    "uroman",
)
"""Libraries whose version may change what is measured, where they are installed."""


@cache
def code_version() -> dict[str, str]:
    """What measures: a digest of its code, and the versions of the libraries below it.

    A version number that somebody must remember to move would let old measurements pass for new.
    """
    digest = hashlib.sha256()
    for package in MEASURING:
        for name, content in _sources(files("asr_gate").joinpath(*package.split("/")), package):
            digest.update(f"{name}\0{len(content)}\0".encode())
            digest.update(content)
    return {"code": digest.hexdigest()} | {name: _version(name) for name in LIBRARIES}


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "none"


def _sources(folder: Traversable, name: str) -> Iterator[tuple[str, bytes]]:
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if entry.is_dir():
            yield from _sources(entry, f"{name}/{entry.name}")
        elif entry.name.endswith(".py"):
            yield f"{name}/{entry.name}", entry.read_bytes()


class Keys:
    """Under what to keep, for one model on this machine."""

    def __init__(self, model: ModelInfo, device: str, code: Mapping[str, str]) -> None:
        """Prepare.

        Args:
            model: what computes emissions.
            device: where.
            code: version of what measures, as of `code_version`.
        """
        self._model = digest_of(
            [
                model.name,
                model.revision,
                model.weights_sha256,
                model.precision,
                device,
                *processors(),
                dict(code),
            ]
        )

    def audio(self, sound: str, utterance: Utterance, beside: str) -> str:
        """Of an emission.

        Args:
            sound: digest of every byte of the recording.
            utterance: the part of it.
            beside: what else decides its last digits, as of `group`.
        """
        return digest_of([self._model, sound, utterance.offset, utterance.duration, beside])

    def row(
        self, audio: str, utterance: Utterance, transcript: Transcript, detector: Detector
    ) -> str:
        """Of what is measured of a transcript.

        Args:
            audio: key of the emission.
            utterance: with the text as it is written.
            transcript: the text as the model's letters.
            detector: what finds speech.
        """
        words = [[word.text, word.letters] for word in transcript.words]
        spelled = [words, transcript.unknown, transcript.dropped]
        return digest_of([audio, utterance.text, spelled, detector])


def group(utterances: Sequence[Utterance], sounds: Mapping[str, str], seconds: float) -> str:
    """What decides the batches of a group: its audio, and how much of it a batch holds."""
    return digest_of([seconds, [[sounds[u.id], u.offset, u.duration] for u in utterances]])


def processors() -> list[str]:
    """The kinds of processors here: another kind computes other last digits."""
    found = [platform.machine()]
    places = [
        Path("/proc/cpuinfo"),
        *sorted(Path("/proc/driver/nvidia/gpus").glob("*/information")),
    ]
    for place in places:
        with suppress(OSError):
            text = place.read_text(encoding="utf-8", errors="replace")
            found += sorted(
                set(re.findall(r"^(?:model name|Model)\s*:\s*(.*)$", text, re.MULTILINE))
            )
    return found
