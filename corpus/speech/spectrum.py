"""Short-time power spectra and mel bands, for models whose features are computed here."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float32]


def power_spectra(samples: Floats, window: Floats, fft: int, hop: int) -> Floats:
    """Power of every frequency in every frame.

    Args:
        samples: shape (n,), already padded: the first frame begins with the first sample.
        window: as long as `fft` or shorter; it lies in the middle of a frame.
        fft: samples in a frame.
        hop: samples from one frame to the next.

    Returns:
        Shape (frames, fft // 2 + 1).
    """
    margin = fft - len(window)
    padded = np.pad(window, (margin // 2, margin - margin // 2))
    spectra = np.fft.rfft(sliding_window_view(samples, fft)[::hop] * padded)
    return np.asarray(spectra.real**2 + spectra.imag**2, dtype=np.float32)


def slaney_bands(fft: int, rate: int, bands: int) -> Floats:
    """Triangular mel filters of equal area, as in Slaney's Auditory Toolbox (1998) and librosa.

    The scale is linear up to 1 kHz and logarithmic above.

    Args:
        fft: samples in a frame.
        rate: samples a second; the last filter ends at half of it.
        bands: number of filters.

    Returns:
        Shape (bands, fft // 2 + 1).
    """
    # 200 / 3 Hz a mel up to 1 kHz, which is mel 15; from there 27 mels for each factor of 6.4.
    step = np.log(6.4) / 27
    top = 15 + np.log(rate / 2000) / step
    mels = np.linspace(0, top, bands + 2)
    edges = np.where(mels < 15, mels * 200 / 3, 1000 * np.exp(step * (mels - 15)))
    low, centre, high = (edges[n : n + bands, None] for n in range(3))
    frequency = np.linspace(0, rate / 2, fft // 2 + 1)
    rising = (frequency - low) / (centre - low)
    falling = (high - frequency) / (high - centre)
    filters = np.maximum(0, np.minimum(rising, falling)) * 2 / (high - low)
    return np.asarray(filters, dtype=np.float32)
