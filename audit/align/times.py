"""When words are said: a model's delay, measured on the data itself and taken out of its times.

A CTC model emits a letter at one point of its sound, and often long after it. How long is measured
without labels: letters lie on sound and separators between words lie in dips of the level, so the
shift that puts the letters on the loudest places, and the separators on the quietest ones, is the
delay. Half a letter's length is half the time from one word's last letter to the next one's first,
where no pause lies between the words.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from asr_gate.audit.align.evidence import INSERTED
from asr_gate.audit.records.alignment import AlignedWord, Alignment, Gap
from asr_gate.corpus.speech.activity import HOP
from asr_gate.corpus.utterance import Seconds, Span

LAGS = np.arange(-20, 61) * HOP
"""Delays tried, seconds."""
RANGE_DB = 40.0
"""Levels are cut off so far under the loud ones."""
PAUSE: Seconds = 0.15
"""Words that lie further apart than this have a pause between them, unless speech goes on there."""
REACH: Seconds = 0.12
"""How far speech activity may move the start of a word that follows a pause, and how far it may end
from a word or begin and still lie beside it."""
MIN_LETTERS = 200
"""Fewer letters say nothing about the delay."""


@dataclass(frozen=True, slots=True)
class Delay:
    """How a model's times differ from those of the sound."""

    delay: Seconds
    """From the middle of a letter's sound to the frame that emits it."""
    half_letter: Seconds
    measured: bool
    """Whether the data gave it; else it is what the model's maker says."""


def lag_profile(alignment: Alignment, level: NDArray[np.float64]) -> NDArray[np.float64]:
    """Contrast of level between letters and separators at every lag, summed over one utterance.

    Args:
        alignment: with the model's own times.
        level: dB, shape (hops,), one a 10 ms.

    Returns:
        Shape (lags + 1,): the sums, and how many letters they hold.
    """
    loud = np.maximum(level, np.percentile(level, 95) - RANGE_DB)
    spread = float(loud.std())
    if spread == 0:
        return np.zeros(len(LAGS) + 1)
    normal = (loud - loud.mean()) / spread
    total = np.zeros(len(LAGS))
    for times, sign in ((alignment.letter_times, 1.0), (alignment.separator_times, -1.0)):
        at = np.asarray(times)[:, None] - LAGS[None, :]
        total += sign * normal[np.clip((at / HOP).astype(int), 0, len(normal) - 1)].sum(axis=0)
    return np.append(total, len(alignment.letter_times))


def measure_delay(
    profiles: Sequence[Sequence[float]], words: Iterable[Sequence[AlignedWord]], stated: Seconds
) -> Delay:
    """The delay of a model on some data.

    Args:
        profiles: of `lag_profile`, one an utterance.
        words: of each utterance.
        stated: what the model's maker says, for data that says too little.
    """
    gaps = [
        after.start - before.end
        for utterance in words
        for before, after in pairwise(utterance)
        if before.kept and after.kept and after.start - before.end < 2 * PAUSE
    ]
    half = float(np.median(gaps)) / 2 if gaps else 0.0
    total = np.sum(np.array(profiles), axis=0) if len(profiles) else np.zeros(1)
    if total[-1] < MIN_LETTERS:
        return Delay(stated, half, False)
    return Delay(float(LAGS[int(total[:-1].argmax())]), half, True)


def sound_times(
    words: Sequence[AlignedWord],
    gaps: Sequence[Gap],
    activity: Sequence[Span],
    delay: Delay,
    duration: Seconds,
) -> tuple[list[Span], list[Span]]:
    """The times of words and gaps in the sound, from the model's own times.

    The boundary between two words without a pause is where the first letter of the second (by
    half), the last letter of the first and the separator (by a quarter each) put it. Words that lie
    further apart have no pause between them either if speech goes on there, and none of it seems
    untranscribed. A word after a pause begins where speech activity begins, if that is near.

    Args:
        words, gaps: with the model's own times.
        activity: where speech is.
        delay: the model's.
        duration: the recording's.

    Returns:
        A start and an end for each word, and for each gap.
    """
    starts = np.array([w.start - delay.delay - delay.half_letter for w in words])
    ends = np.array([w.end - delay.delay + delay.half_letter for w in words])
    active = np.array(activity).reshape(-1, 2)
    for i, word in enumerate(words):
        if not word.placed:
            # From the word before to the word after, as their letters have it.
            starts[i], ends[i] = word.start - delay.delay, word.end - delay.delay
            continue
        if i > 0 and words[i - 1].placed and _joined(ends[i - 1], starts[i], gaps[i], active):
            separator = gaps[i].separator
            third = ends[i - 1] if separator is None else separator - delay.delay
            starts[i] = ends[i - 1] = starts[i] / 2 + ends[i - 1] / 4 + third / 4
        elif len(active):
            nearest = active[np.abs(active[:, 0] - starts[i]).argmin(), 0]
            if abs(nearest - starts[i]) <= REACH and nearest < ends[i]:
                starts[i] = nearest
    _in_order(words, starts, ends)
    # Within the recording, and no word ends before it starts.
    starts = np.clip(starts, 0.0, duration)
    ends = np.clip(np.maximum(ends, starts), 0.0, duration)
    before = np.maximum.accumulate(np.concatenate([[0.0], np.where(_kept(words), ends, 0.0)]))
    after = np.where(_kept(words), starts, duration)
    after = np.minimum.accumulate(np.concatenate([after, [duration]])[::-1])[::-1]
    placed = [(float(start), float(end)) for start, end in zip(starts, ends, strict=True)]
    between = [
        (float(start), float(max(start, end))) for start, end in zip(before, after, strict=True)
    ]
    return placed, between


def _joined(end: float, start: float, gap: Gap, active: NDArray[np.float64]) -> bool:
    """Whether neither a pause nor other speech lies between a word and the next one."""
    if start - end < PAUSE:
        return True
    through = (active[:, 0] <= end + REACH) & (active[:, 1] >= start - REACH)
    return gap.insertion < INSERTED and bool(through.any())


def _in_order(
    words: Sequence[AlignedWord], starts: NDArray[np.float64], ends: NDArray[np.float64]
) -> None:
    """Where two placed words overlap, let them meet in the middle."""
    before: int | None = None
    for i, word in enumerate(words):
        if not word.placed:
            continue
        ends[i] = max(ends[i], starts[i])
        if before is not None and starts[i] < ends[before]:
            meeting = max(starts[before], (starts[i] + ends[before]) / 2)
            starts[i] = ends[before] = meeting
            ends[i] = max(ends[i], meeting)
        before = i


def _kept(words: Sequence[AlignedWord]) -> NDArray[np.bool_]:
    return np.array([word.kept for word in words])
