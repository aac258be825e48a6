"""Emissions of many recordings: batches filled by duration, long recordings run in windows."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from asr_gate.audit.acoustic.interface import AcousticModel, Emission, Waveform
from asr_gate.corpus.utterance import Seconds

MAX_WORKERS = 4
"""Batches computed at a time on a CPU; each takes memory."""


@dataclass(frozen=True, slots=True)
class _Window:
    """A stretch of one recording that is run by itself."""

    owner: int
    samples: Waveform
    skip: int
    """Frames of context at its start, which are not kept."""
    keep: int | None
    """Frames kept; None: all to the end."""


def emissions(
    model: AcousticModel, waveforms: Sequence[Waveform], batch_seconds: Seconds
) -> list[Emission]:
    """Emissions of recordings of any length, in the order given.

    Recordings longer than the model's window are cut into windows with context on both sides, and
    the frames of the context are dropped where the windows are joined. Batches hold at most
    `batch_seconds` of padded audio (always at least one window), alike in length; what is in a
    batch depends on the recordings alone, so that a second run gives the same figures.

    Args:
        waveforms: each shape (n,), n > 0.
        batch_seconds: padded audio in one batch.

    Returns:
        Each shape (frames, tokens), float32.
    """
    windows = [w for owner, wave in enumerate(waveforms) for w in _windows(model, owner, wave)]
    order = sorted(range(len(windows)), key=lambda i: (len(windows[i].samples), i))
    pieces: list[Emission | None] = [None] * len(windows)
    limit = batch_seconds * model.info.sample_rate
    batches = list(_batches(windows, order, limit, equal=not model.pads))
    # Several batches at a time on one thread each, and not one on several: how many threads share
    # a sum decides its last digits, and a report must not depend on the processor's cores.
    workers = min(os.cpu_count() or 1, MAX_WORKERS) if model.device == "cpu" else 1
    sounds = [[windows[index].samples for index in batch] for batch in batches]
    with ThreadPoolExecutor(workers) as pool:
        outputs = pool.map(model.forward, sounds)
        for batch, emitted in zip(batches, outputs, strict=True):
            for index, emission in zip(batch, emitted, strict=True):
                window = windows[index]
                end = None if window.keep is None else window.skip + window.keep
                pieces[index] = emission[window.skip : end]
    joined: list[list[Emission]] = [[] for _ in waveforms]
    for window, piece in zip(windows, pieces, strict=True):
        assert piece is not None
        joined[window.owner].append(piece)
    return [parts[0] if len(parts) == 1 else np.concatenate(parts) for parts in joined]


def _windows(model: AcousticModel, owner: int, samples: Waveform) -> Iterator[_Window]:
    rate, stride = model.info.sample_rate, model.info.stride
    # Windows start on a frame, so that frame i of the whole lies at i strides.
    frames = round(model.window / stride)
    context = round(model.context / stride)
    hop = round(stride * rate)
    if len(samples) <= (frames + 2 * context) * hop:
        yield _Window(owner, samples, 0, None)
        return
    total = -(-len(samples) // hop)
    starts = list(range(0, total, frames))
    if total - starts[-1] < context:
        starts.pop()  # a sliver at the end goes with the window before it
    for start in starts:
        last = start == starts[-1]
        left = max(0, start - context)
        right = None if last else (start + frames + context) * hop
        yield _Window(owner, samples[left * hop : right], start - left, None if last else frames)


def _batches(
    windows: Sequence[_Window], order: Sequence[int], limit: float, *, equal: bool
) -> Iterator[list[int]]:
    """Batches of window numbers, shortest first."""
    batch: list[int] = []
    for index in order:
        length = len(windows[index].samples)
        full = (len(batch) + 1) * length > limit
        if batch and (full or (equal and length != len(windows[batch[0]].samples))):
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch
