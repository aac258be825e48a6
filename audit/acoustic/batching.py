"""Emissions of many recordings: batches filled by duration, long recordings run in windows.

On a CPU every window is run alone. What else is in a batch decides the last digits of an emission
(in a small network the third), and so an emission follows from its own recording there: what was
measured once can be kept, whatever surrounds it next time. It is no slower: several run at a time,
and none is padded.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from asr_gate.audit.acoustic.interface import AcousticModel, Emission, Waveform
from asr_gate.corpus.cores import usable_cores
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
    """Emissions of recordings of any length, in the order given; see `as_computed`."""
    found = dict(as_computed(model, waveforms, batch_seconds, range(len(waveforms))))
    return [found[number] for number in range(len(waveforms))]


def as_computed(
    model: AcousticModel,
    waveforms: Sequence[Waveform],
    batch_seconds: Seconds,
    wanted: Container[int],
    cores: int | None = None,
) -> Iterator[tuple[int, Emission]]:
    """Numbers and emissions of the wanted recordings, each as soon as its last batch is computed.

    Recordings longer than the model's window are cut into windows with context on both sides, and
    the frames of the context are dropped where the windows are joined. On a GPU, batches hold at
    most `batch_seconds` of padded audio (always at least one window), alike in length; what is in a
    batch depends on the recordings alone, wanted or not, so that a second run gives the same
    figures. Only batches that hold something wanted are computed.

    Args:
        model: computes the batches, several at a time on a CPU.
        waveforms: each shape (n,), n > 0.
        batch_seconds: padded audio in one batch on a GPU.
        wanted: numbers of the recordings whose emissions are needed.
        cores: that may be used; None: all there are.

    Yields:
        Emissions of shape (frames, tokens), float32.
    """
    windows = [w for owner, wave in enumerate(waveforms) for w in _windows(model, owner, wave)]
    windows_of: dict[int, list[int]] = {}
    for index, window in enumerate(windows):
        windows_of.setdefault(window.owner, []).append(index)
    order = sorted(range(len(windows)), key=lambda i: (len(windows[i].samples), i))
    limit = 0.0 if model.device == "cpu" else batch_seconds * model.info.sample_rate
    batches = [
        batch
        for batch in _batches(windows, order, limit, equal=not model.pads)
        if any(windows[index].owner in wanted for index in batch)
    ]
    # Several batches at a time on one thread each, and not one on several: how many threads share
    # a sum decides its last digits, and a report must not depend on the processor's cores.
    workers = min(cores or usable_cores(), MAX_WORKERS) if model.device == "cpu" else 1
    sounds = [[windows[index].samples for index in batch] for batch in batches]
    missing = {owner: len(indices) for owner, indices in windows_of.items()}
    pieces: dict[int, Emission] = {}
    pool = ThreadPoolExecutor(workers)
    try:
        for batch, emitted in zip(batches, pool.map(model.forward, sounds), strict=True):
            for index, emission in zip(batch, emitted, strict=True):
                window = windows[index]
                if window.owner not in wanted:
                    continue
                end = None if window.keep is None else window.skip + window.keep
                pieces[index] = emission[window.skip : end]
                missing[window.owner] -= 1
                if not missing[window.owner]:
                    parts = [pieces.pop(i) for i in windows_of[window.owner]]
                    yield window.owner, parts[0] if len(parts) == 1 else np.concatenate(parts)
    finally:
        # Whoever stops does not wait for the batches under way.
        pool.shutdown(wait=False, cancel_futures=True)


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
