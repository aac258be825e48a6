"""Speech activity: which stretches of a recording are speech, by a network or by their level."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from asr_gate.corpus.speech.detector import Detector
from asr_gate.corpus.speech.silero import FRAME, RATE, speech_probability
from asr_gate.corpus.utterance import Seconds, Span

SNAP: Seconds = 0.1
"""How far an edge of the network's, whose frames are 32 ms long, may lie from that of the level."""
LIKELY = 0.5
"""Probability from which on the network's frames are speech; its authors' value."""

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


def speech_activity(
    samples: NDArray[np.float32], sample_rate: int, detector: Detector = "energy"
) -> NDArray[np.bool_]:
    """Where speech is: one decision a hop of 10 ms.

    By energy, the threshold lies between the recording's own noise floor (5th percentile of the
    level) and its speech level (95th): at least 8 dB above the floor, at most 30 dB below the
    speech level. A recording without 8 dB of range is all speech or, under -80 dB, all silence.

    A recording in which silero-vad finds no speech at all is judged by energy: it may miss single
    words in clips of half a second.

    Args:
        samples: shape (n,), full scale 1.0.
        sample_rate: of the samples; the network hears them at 16 kHz.
        detector: what tells speech from other sound.

    Returns:
        Shape (ceil(n / hop),).
    """
    loud = _by_energy(level_db(samples, sample_rate))
    if detector == "silero" and len(loud):
        active = _by_network(samples, sample_rate)
        if active.any():
            return _snapped(active, loud)
    return loud


def _by_network(samples: NDArray[np.float32], sample_rate: int) -> NDArray[np.bool_]:
    speech = speech_probability(samples, sample_rate) >= LIKELY
    hop = round(HOP * sample_rate)
    count = -(-len(samples) // hop)
    middle = (np.arange(count) * hop + hop // 2) / sample_rate
    frames = np.minimum((middle * RATE / FRAME).astype(int), len(speech) - 1)
    return _smooth(speech[frames])


def _snapped(active: NDArray[np.bool_], loud: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Stretches of speech that begin and end where loud ones do, if these are near."""
    edges, sharp = (
        np.flatnonzero(np.diff(one, prepend=False, append=False)) for one in (active, loud)
    )
    if not len(sharp):
        return active
    own = edges.reshape(-1, 2)
    moved = np.stack([_nearest(own[:, side], sharp[side::2]) for side in (0, 1)], axis=1)
    # One that is shorter than the way to both stays as it was.
    moved = np.where(moved[:, :1] < moved[:, 1:], moved, own)
    result = np.zeros_like(active)
    for start, end in moved:
        result[start:end] = True
    return result


def _nearest(edges: NDArray[np.intp], sharp: NDArray[np.intp]) -> NDArray[np.intp]:
    """Each edge, or the nearest sharp one if that lies within `SNAP`; both in order."""
    after = np.searchsorted(sharp, edges)
    before = sharp[np.maximum(after - 1, 0)]
    behind = sharp[np.minimum(after, len(sharp) - 1)]
    near = np.where(np.abs(edges - before) <= np.abs(behind - edges), before, behind)
    return np.where(np.abs(near - edges) <= round(SNAP / HOP), near, edges)


def _by_energy(level: NDArray[np.float64]) -> NDArray[np.bool_]:
    if not len(level):
        return np.zeros(0, dtype=np.bool_)
    floor, loud = np.percentile(level, [5, 95])
    return _smooth(level > max(SILENCE_DB, loud - 30.0, min(floor + 8.0, loud - 12.0)))


def _smooth(active: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Without clicks and without the dips within words."""
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
