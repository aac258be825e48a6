"""What people hear in the page of a report: short Ogg files and their waveforms."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import soundfile
from numpy.typing import NDArray

from asr_gate.corpus.speech.audio import AudioError
from asr_gate.corpus.speech.decoding import Decoder
from asr_gate.corpus.utterance import Utterance

RATE = 16000
COMPRESSION = 0.9
"""About 28 kb/s: libsndfile's scale of Vorbis, best (0) to smallest (1)."""
PEAKS = 120
"""Bars of a waveform."""


@dataclass(frozen=True, slots=True)
class Clip:
    """The audio of one utterance."""

    sound: bytes
    """Vorbis in Ogg, mono."""
    peaks: str
    """Base64 of `PEAKS` bytes, 0 to 255 of full scale."""


def clips(utterances: Sequence[Utterance]) -> Iterator[tuple[str, Clip]]:
    """Decode and encode utterances; those that cannot be decoded are left out.

    Yields:
        Ids and clips, in order.
    """
    decoder = Decoder()
    try:
        for utterance in utterances:
            try:
                samples = decoder.load(utterance, RATE).samples
            except AudioError:
                continue  # the report says of it that it cannot be read
            yield utterance.id, Clip(vorbis(samples), _peaks(samples))
    finally:
        decoder.stop()


def vorbis(samples: NDArray[np.float32]) -> bytes:
    """Samples at `RATE`, mono, shape `(n,)`, as Vorbis in Ogg.

    Opus would be a fifth smaller, but libsndfile takes 12 times as long to write it: longer than
    all the rest of an audit of so much audio.
    """
    buffer = io.BytesIO()
    soundfile.write(
        buffer, samples, RATE, format="OGG", subtype="VORBIS", compression_level=COMPRESSION
    )
    return buffer.getvalue()


def _peaks(samples: NDArray[np.float32]) -> str:
    bars = np.array_split(np.abs(samples), PEAKS)
    heights = [round(255 * min(1.0, float(bar.max()))) if len(bar) else 0 for bar in bars]
    return base64.b64encode(bytes(heights)).decode()
