"""What a model hears by itself: its greedy output as words with times."""

from __future__ import annotations

import numpy as np

from asr_gate.audit.acoustic.interface import Emission, ModelInfo
from asr_gate.audit.records.alignment import HeardWord
from asr_gate.corpus.utterance import Seconds

PAUSE: Seconds = 0.4
"""Parts two words where a model has no separator."""


def heard_words(emission: Emission, model: ModelInfo) -> tuple[HeardWord, ...]:
    """The best token of each frame, repeats joined and blanks left out (Graves et al. 2006).

    Args:
        emission: log-probabilities, shape (frames, tokens).
        model: blank, separator and stride.

    Returns:
        The words in the model's own letters and times; empty where it hears nothing.
    """
    best = emission.argmax(axis=1)
    changes = np.flatnonzero(np.diff(best, prepend=-1))
    ends = np.append(changes[1:], len(best))
    words: list[HeardWord] = []
    open_word = False
    for first, last in zip(changes.tolist(), ends.tolist(), strict=True):
        column = int(best[first])
        start, end = first * model.stride, last * model.stride
        if column == model.space:
            open_word = False
        if column in (model.blank, model.space):
            continue
        token = model.tokens[column]
        paused = model.space is None and bool(words) and start - words[-1].end > PAUSE
        if open_word and not paused:
            words[-1] = HeardWord(words[-1].text + token, words[-1].start, end)
        else:
            words.append(HeardWord(token, start, end))
        open_word = True
    return tuple(words)
