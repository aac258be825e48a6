"""Under what measurements are kept: digests of all that decides them."""

from __future__ import annotations

import platform
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from asr_gate.audit.acoustic.interface import ModelInfo
from asr_gate.corpus.cache import digest_of
from asr_gate.corpus.speech.detector import Detector
from asr_gate.corpus.text.letters import Transcript
from asr_gate.corpus.utterance import Utterance


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
