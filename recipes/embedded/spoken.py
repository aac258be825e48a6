"""What a synthesizer gives: sound, and when each phone and word is in it."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Wave = npt.NDArray[np.float32]


@dataclass
class Speech:
    """One spoken sentence."""

    wave: Wave
    rate: int
    """Samples a second of `wave`."""
    phones: list[tuple[str, float]]
    """Phone (one of `PHONES`, or "?" where the map has none) and its end in seconds."""
    words: list[tuple[float, float] | None]
    """Start and end in seconds; None where the synthesizer ran the word into the one before."""
    voice: str


def floats(samples: Any, count: int) -> Wave:
    """A copy of a C array of 16-bit samples, -1 to 1."""
    array: Wave = np.ctypeslib.as_array(samples, (count,)).astype(np.float32)
    return array / np.float32(32768)
