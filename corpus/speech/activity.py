"""Speech activity from energy: which stretches of a recording are loud enough to be speech."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from asr_gate.corpus.utterance import Seconds, Span

HOP: Seconds = 0.01
"""One decision every hop."""
WINDOW: Seconds = 0.03
SILENCE_DB = -80.0
"""Root mean square, in dB of full scale, below which nothing counts as speech."""
MIN_PAUSE: Seconds = 0.2
"""Shorter dips between two stretches of speech are part of speech (stop consonants)."""
MIN_SPEECH: Seconds = 0.06
"""Shorter bursts are clicks."""


def level_db(samples: NDArray[np.float32], sample_rate: int) -> NDArray[np.float64]:
    """Root mean square of windows of 30 ms, one every 10 ms, in dB of full scale.

    An offset from zero is no sound: the mean of all samples is taken out.

    Args:
        samples: shape (n,), full scale 1.0.

    Returns:
        Shape (ceil(n / hop),); the window of entry i is centred on the middle of hop i.
    """
    hop, window = round(HOP * sample_rate), round(WINDOW * sample_rate)
    count = -(-len(samples) // hop)
    swing = samples.astype(np.float64) - (samples.mean(dtype=np.float64) if len(samples) else 0.0)
    squared = np.concatenate([[0.0], np.cumsum(swing**2)])
    centre = np.arange(count) * hop + hop // 2
    start = np.clip(centre - window // 2, 0, len(samples))
    end = np.clip(centre + window // 2, 0, len(samples))
    power = (squared[end] - squared[start]) / np.maximum(end - start, 1)
    return np.asarray(10 * np.log10(np.maximum(power, 1e-12)))


def speech_activity(samples: NDArray[np.float32], sample_rate: int) -> NDArray[np.bool_]:
    """Where speech is, by energy: one decision a hop of 10 ms.

    The threshold lies between the recording's own noise floor (5th percentile of the level) and
    its speech level (95th): at least 8 dB above the floor, at most 30 dB below the speech level.
    A recording without 8 dB of range is all speech or, under -80 dB, all silence.

    Args:
        samples: shape (n,), full scale 1.0.

    Returns:
        Shape (ceil(n / hop),).
    """
    level = level_db(samples, sample_rate)
    if not len(level):
        return np.zeros(0, dtype=np.bool_)
    floor, loud = np.percentile(level, [5, 95])
    threshold = max(SILENCE_DB, loud - 30.0, min(floor + 8.0, loud - 12.0))
    active = level > threshold
    active = _fill(active, True, round(MIN_SPEECH / HOP))
    return _fill(active, False, round(MIN_PAUSE / HOP))


def spans(active: NDArray[np.bool_]) -> tuple[Span, ...]:
    """Stretches of speech activity as start and end, in order."""
    edges = np.flatnonzero(np.diff(active, prepend=False, append=False)) * HOP
    return tuple(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


def _fill(active: NDArray[np.bool_], value: bool, shorter_than: int) -> NDArray[np.bool_]:
    """Turn runs of `value` that are shorter than so many hops into their opposite.

    A run at an edge stays where it is a pause: nothing says that speech goes on behind it.
    """
    edges = np.flatnonzero(np.diff(active)) + 1
    starts, ends = np.concatenate([[0], edges]), np.concatenate([edges, [len(active)]])
    result = active.copy()
    for start, end in zip(starts, ends, strict=True):
        inner = start > 0 and end < len(active)
        if active[start] == value and end - start < shorter_than and (inner or value):
            result[start:end] = not value
    return result
