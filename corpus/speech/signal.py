"""Measurements of a recording as it is stored, before it is mixed and resampled."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from asr_gate.corpus.speech.stored import Signal

CLIP_LEVEL = 0.999
"""Samples at or above this share of full scale count as clipped."""

WINDOW = 0.032
"""Seconds of the windows whose spectra are averaged."""
BAND_DB = 60.0
"""How far under the strongest frequency a recording's band ends. The fricatives of speech lie 30 to
50 dB under its vowels; what resampling or a codec cut off lies 70 dB and more under them."""
LOWEST = 60.0
"""Hertz. Below it lie mains hum and direct current, which say nothing of the band."""
FLOOR_DB = -120.0
"""Level of nothing at all, dB of full scale."""
PAUSE_HOPS = 30
"""Hops of 10 ms that pauses need in all to show the noise."""


def measure_signal(samples: NDArray[np.float32], sample_rate: int) -> Signal:
    """Measure stored samples.

    Args:
        samples: shape (n, channels), n > 0, full scale 1.0, all of them numbers.
        sample_rate: samples a second.
    """
    channels = samples.shape[1]
    magnitude = np.abs(samples)
    mean = samples.mean(axis=0, dtype=np.float64)
    # Files of floats may hold anything; squares of what is far over full scale would be infinite.
    scale = max(np.float32(1), magnitude.max())
    centred = samples / scale - (mean / scale).astype(np.float32)
    power = (centred.T @ centred).astype(np.float64) / len(samples)
    own = np.maximum(np.diag(power), 10 ** (FLOOR_DB / 10))
    correlation: float | None = None
    if channels > 1 and np.diag(power).min() > 10 ** (FLOOR_DB / 10):
        correlation = float(np.clip((power / np.sqrt(np.outer(own, own))).min(), -1, 1))
    return Signal(
        sample_rate=sample_rate,
        channels=channels,
        clipped=float((magnitude >= CLIP_LEVEL).mean()),
        dc_offset=float(np.abs(mean / scale).max()),
        bandwidth=bandwidth(centred.mean(axis=1), sample_rate),
        channel_gap=float(10 * np.log10(own.max() / own.min())),
        channel_correlation=correlation,
    )


def bandwidth(mono: NDArray[np.float32], sample_rate: int) -> float | None:
    """The highest frequency within 60 dB of the strongest one, in hertz; None: there is none.

    From the power spectrum, the mean over Hann windows of 32 ms side by side (Bartlett's method;
    `scipy.signal.welch` gives the same and takes 35 times as long).

    Args:
        mono: shape (n,).
        sample_rate: samples a second.
    """
    window = round(WINDOW * sample_rate)
    count = len(mono) // window
    if not count or window < 2:
        return None
    frames = mono[: count * window].reshape(count, window) * np.hanning(window).astype(np.float32)
    power = (np.abs(np.fft.rfft(frames)) ** 2).mean(axis=0)
    frequency = np.fft.rfftfreq(window, 1 / sample_rate)
    power[frequency < LOWEST] = 0.0
    # Of a full-scale sine the windowed spectrum has a peak of (window / 4)².
    if power.max() < 10 ** (FLOOR_DB / 10) * (window / 4) ** 2:
        return None
    return float(frequency[np.flatnonzero(power > power.max() * 10 ** (-BAND_DB / 10))[-1]])


def speech_to_noise(
    level: NDArray[np.float64], active: NDArray[np.bool_] | None = None
) -> float | None:
    """The ratio of speech to noise, in decibels: power of loud speech over that of the noise floor.

    As NIST's `stnr` defines it, peak speech power over noise power. Loud speech is the 95th
    percentile of the level of short windows. The noise is the median power of the pauses, or, where
    they are not known or make up less than 0.3 s, the 5th percentile of the level. That is 5 to
    6 dB above the ratio of mean powers; a second voice is taken for speech. Below a second there
    may be no pause that shows the noise, and nothing is said.

    Args:
        level: of `corpus.speech.activity.level_db`, shape (n,).
        active: where speech is, shape (n,); None: not known.
    """
    if len(level) < 100:
        return None
    noise, loud = 10 ** (np.percentile(level, [5, 95]) / 10)
    if active is not None:
        # A window reaches into the hops beside its own.
        pause = np.convolve(active, np.ones(5), "same") == 0
        if pause.sum() >= PAUSE_HOPS:
            # Not the mean: a single word that nobody took for speech would be most of it.
            noise = 10 ** (np.median(level[pause]) / 10)
            loud = 10 ** (np.percentile(level[active], 95) / 10) if active.any() else loud
    return float(10 * np.log10(max(loud - noise, noise * 1e-3) / noise))
