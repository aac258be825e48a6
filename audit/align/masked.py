"""Words that noise may mask: said, and not recognised.

Where the best path leaves out several words in a row, in a stretch with sound in which the model
recognised next to nothing, and the sound is long enough to have said them, that is no evidence that
they were not said.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from asr_gate.audit.align.problem import Problem
from asr_gate.audit.records.alignment import Alignment
from asr_gate.corpus.utterance import Seconds

SOUND_PER_LETTER: Seconds = 0.04
"""Sound that it takes to say a letter, and as much again for each word; quick speech has 0.06."""
BETWEEN_WORDS: Seconds = 0.2
"""How much of the sound between two words is theirs: letters last, and the model emits late."""


def masked_words(
    p: Problem, starts: NDArray[np.int64], ends: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """Which words may be masked, shape (words,).

    Args:
        p: the transcript.
        starts, ends: frames of each word on the best path; -1 where it is left out.
    """
    found = np.zeros(len(starts), np.bool_)
    edges = np.flatnonzero(np.diff(starts < 0, prepend=False, append=False))
    for first, behind in edges.reshape(-1, 2):
        if behind - first > 1:
            start = ends[first - 1] if first else 0
            end = starts[behind] if behind < len(starts) else p.frames
            found[first:behind] = _fit_unheard(p, first, behind, start, end)
    return found


def may_be_masked(p: Problem, i: int, own: Alignment, stride: Seconds) -> bool:
    """Whether word i may be masked, whatever the unconstrained pass finds.

    A word is masked only together with one beside it. If the best path leaves out both, then
    without word i, and a skip cheaper, it is the best path of the other transcript: a better one
    would be better here, too, as no word costs more to leave out than a skip. So `own` leaves out
    the word beside it as well. (Of paths that score the same, `own` may have taken another.)

    Args:
        p: a transcript with one word more than another.
        i: that word.
        own: the alignment of the other transcript.
        stride: of the model.
    """
    first, behind = i, i + 1
    while first > 0 and not own.words[first - 1].kept:
        first -= 1
    while behind <= len(own.words) and not own.words[behind - 1].kept:
        behind += 1
    start, end = (round(time / stride) for time in (own.gaps[i].start, own.gaps[i].end))
    return behind - first > 1 and _fit_unheard(p, first, behind, start, end)


def _fit_unheard(p: Problem, first: int, behind: int, start: int, end: int) -> bool:
    """Whether the words from one to before another may lie unrecognised between two frames."""
    letters = int((p.letters[first:behind] + 1).sum())
    unheard = max(0.0, 1 - float(p.emission.onsets[start:end].sum()) / letters)
    sound = float(p.emission.sound[end] - p.emission.sound[start]) - BETWEEN_WORDS
    return unheard * sound > SOUND_PER_LETTER * letters
