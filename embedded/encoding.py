"""What the network takes and gives: sound as power spectra, text as tokens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from asr_gate.corpus.speech.spectrum import Floats, power_spectra

ALPHABETS = {
    "en": ("<blank>", *"abcdefghijklmnopqrstuvwxyz", "'", " "),
    "he": ("<blank>", *"אבגדהוזחטיךכלםמןנסעףפץצקרשת", " "),
}
"""Tokens by language; as many in each, so that one network is for all: blank first, space last."""
TOKENS = ALPHABETS["en"]

SAMPLE_RATE = 16_000
HOP = 160
WINDOW = 400
FFT = 512
STRIDE_SECONDS = 2 * HOP / SAMPLE_RATE
"""From one frame of the output to the next."""

Waveform: TypeAlias = NDArray[np.float32]

_HANN = np.hanning(WINDOW + 1)[:-1].astype(np.float32)
"""Periodic."""


def spectra(waveform: Waveform) -> Floats:
    """Power spectra of level-normalised speech, 25 ms windows centred every 10 ms.

    Args:
        waveform: shape (n,), mono, at `SAMPLE_RATE`.

    Returns:
        Shape (n // HOP + 1, FFT / 2 + 1).
    """
    level = np.sqrt(np.mean(np.square(waveform)))
    normal = waveform * (np.float32(0.1) / (level + np.float32(1e-5)))
    # Zeros on both sides, not reflections, which would depend on the padding of a batch.
    end = len(waveform) // HOP * HOP + FFT // 2 - len(waveform)
    return power_spectra(np.pad(normal, (FFT // 2, end)), _HANN, FFT, HOP)


def frames_out(frames: int) -> int:
    """Frames of the output for so many spectra."""
    return (frames + 1) // 2


def encode(text: str, tokens: Sequence[str] = TOKENS) -> list[int]:
    """Tokens of a text that holds only what they are for: letters and single spaces."""
    return [tokens.index(character) for character in text]
