"""What the kernels take and how their scores are numbered; apart from `kernels.py`, because numba,
which compiles those, is a second's import. Numba's cache does not see a change here: make one in
`kernels.py` as well.
"""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float32]
Integers: TypeAlias = NDArray[np.int64]

MINUS_INF = np.float32(-np.inf)
NOT_COMPUTED = np.float32(-1e30)
"""Score where no path was looked for; finite, so that a difference of two is a number."""
KEEP, SKIP, REPLACE, INSERT = 0, 1, 2, 3
"""Rows of `best` in `backward`: best path that says word i, leaves it out, has other speech in its
place, has unaligned speech in the gap before it and says it."""


class Arrays(NamedTuple):
    """One transcript on one emission."""

    scores: Floats
    """Shape (frames, columns); the last column is the blank."""
    onsets: Floats
    """1 where the greedy output begins a letter, shape (frames,)."""
    tokens: Integers
    """Column of each token of the transcript."""
    repeat: Floats
    """-inf where a token equals the one before it and needs a blank between, else 0."""
    first: Integers
    last: Integers
    """Token numbers of each word's first and last letter."""
    close: Integers
    """Token number of the separator after each word, or of its last letter where there is none."""


class Penalties(NamedTuple):
    """What each arc costs, nats."""

    skip: np.float32
    replace: np.float32
    """For a word with other speech in its place, on top of what that speech costs."""
    enter: np.float32
    """For entering unaligned speech."""
    onset: np.float32
    """For each token that begins in unaligned speech."""
