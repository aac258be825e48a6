"""What is done to clean recordings: a telephone, or pink noise."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import soundfile
import torch
import torchaudio.functional as functional

from asr_gate.corpus.speech.audio import load
from asr_gate.corpus.utterance import Utterance

TELEPHONE = 8000
"""Samples a second."""


@dataclass(frozen=True, slots=True)
class Condition:
    """One way in which the recordings are heard."""

    name: str
    change: Callable[[torch.Tensor, int, int], torch.Tensor] | None
    """From samples, their rate and a seed to samples; None: as they are."""

    def render(self, utterances: Sequence[Utterance], rate: int, folder: Path) -> list[Utterance]:
        """The utterances so changed, as files of 32-bit samples in a folder."""
        if self.change is None:
            return list(utterances)
        changed = []
        for number, utterance in enumerate(utterances):
            path = folder / f"{number}.wav"
            samples = torch.from_numpy(load(utterance, rate).samples)
            heard = self.change(samples, rate, zlib.crc32(utterance.id.encode()))
            soundfile.write(path, heard.numpy(), rate, subtype="FLOAT")
            changed.append(replace(utterance, audio=path, offset=0.0, duration=None, roots=()))
        return changed


def _telephone(samples: torch.Tensor, rate: int, seed: int) -> torch.Tensor:
    """300 to 3400 Hz, 8 kHz, 8-bit mu-law."""
    band = functional.highpass_biquad(samples, rate, 300.0)
    band = functional.lowpass_biquad(band, rate, 3400.0)
    narrow = functional.resample(band, rate, TELEPHONE)
    coded = functional.mu_law_encoding(narrow, 256)
    heard: torch.Tensor = functional.resample(
        functional.mu_law_decoding(coded, 256), TELEPHONE, rate
    )
    return heard[: len(samples)]


def noise(samples: torch.Tensor, rate: int, seed: int, *, snr: float) -> torch.Tensor:
    """Pink noise at a signal-to-noise ratio over the whole recording, dB."""
    white = torch.randn(len(samples), generator=torch.Generator().manual_seed(seed))
    spectrum = torch.fft.rfft(white)
    pink = torch.fft.irfft(
        spectrum / torch.arange(len(spectrum)).clamp(min=1).sqrt(), n=len(samples)
    )
    heard: torch.Tensor = functional.add_noise(samples, pink, torch.tensor(snr))
    return heard


CLEAN = Condition("clean", None)
CONDITIONS = (
    CLEAN,
    Condition("telephone band, 8-bit µ-law", _telephone),
    *(Condition(f"pink noise, {snr} dB", partial(noise, snr=float(snr))) for snr in (10, 5, 0)),
)
