"""Cuts a recording of any length into stretches of speech that a model can take."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from asr_gate.corpus.speech.activity import HOP, level_db, spans, speech_activity
from asr_gate.corpus.utterance import Seconds, Span

MARGIN: Seconds = 0.2
"""Kept before and after speech: first and last sounds are often too soft to count as speech."""


def speech_segments(samples: NDArray[np.float32], sample_rate: int, longest: Seconds) -> list[Span]:
    """Stretches of at most `longest` seconds that hold all speech, cut at pauses where there are.

    Neighbours are joined as long as they fit. Speech that goes on for longer is cut at its quietest
    moment in the second half of what fits.

    Args:
        samples: shape (n,), full scale 1.0.
        sample_rate: of the samples.
        longest: in seconds, more than a second.

    Returns:
        Start and end of each, in order; they do not overlap. Empty: there is no speech.
    """
    total, longest = len(samples) / sample_rate, longest - 2 * MARGIN
    level = level_db(samples, sample_rate)
    pieces = [
        piece
        for span in spans(speech_activity(samples, sample_rate))
        for piece in _cut(span, level, longest)
    ]
    joined: list[Span] = []
    for start, end in pieces:
        if joined and end - joined[-1][0] <= longest:
            joined[-1] = (joined[-1][0], end)
        else:
            joined.append((start, end))
    starts = [start for start, _ in joined]
    ends = [end for _, end in joined]
    return [
        (
            # At most half of a pause: the other half is the neighbour's.
            max(start - MARGIN, 0.0 if index == 0 else (ends[index - 1] + start) / 2),
            min(end + MARGIN, total if index + 1 == len(joined) else (end + starts[index + 1]) / 2),
        )
        for index, (start, end) in enumerate(joined)
    ]


def _cut(span: Span, level: NDArray[np.float64], longest: Seconds) -> list[Span]:
    """A stretch in pieces that fit."""
    start, end = span
    pieces = []
    while end - start > longest:
        first, last = round((start + longest / 2) / HOP), round((start + longest) / HOP)
        cut = (first + int(np.argmin(level[first:last]))) * HOP
        pieces.append((start, cut))
        start = cut
    return [*pieces, (start, end)]
