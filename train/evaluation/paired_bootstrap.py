"""Changes of error rates between two results on the same rows, and whether they are chance.

The interval of a change comes from a paired bootstrap over utterances (Bisani and Ney, "Bootstrap
estimates for confidence intervals in ASR performance evaluation", ICASSP 2004): utterances are
drawn with replacement, the same for both sides, and each time all errors are divided by all words.
With few utterances the percentiles are too narrow, so they are expanded (Hesterberg, "What teachers
should know about the bootstrap", The American Statistician 69, 2015).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from asr_gate.train.evaluation.scoring import Errors

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

RESAMPLES = 10_000
METHOD = f"paired bootstrap over utterances, {RESAMPLES} resamples, expanded percentiles"

_DRAWN_AT_ONCE = 200_000
"""Utterances drawn at the same time, which limits the memory."""


@dataclass(frozen=True, slots=True)
class Change:
    """One error rate on both sides."""

    a: float
    b: float
    difference: float
    """`b` minus `a`: above 0 is worse."""
    low: float | None
    """Lower bound of the difference's interval; None: too few utterances for an interval."""
    high: float | None


@dataclass(frozen=True, slots=True)
class Group:
    """All rows, or those of one domain."""

    utterances: int
    words: int
    wer: Change
    cer: Change
    better: float | None
    """Share of the resamples in which the second side has the lower WER (Bisani and Ney's
    probability of improvement)."""

    @property
    def worse(self) -> bool:
        """Whether the WER rose by more than chance: its whole interval is above 0."""
        return self.wer.low is not None and self.wer.low > 0


def changes(
    errors: Sequence[tuple[Errors, Errors]], confidence: float, seed: int, least: int
) -> Group:
    """Rates of both sides, and intervals of the changes if there are enough utterances."""
    import numpy as np

    counts = np.array(
        [
            (a.word_errors, b.word_errors, a.words, a.character_errors, b.character_errors,
             a.characters)
            for a, b in errors
        ],
        dtype=np.float64,
    )  # fmt: skip
    sums = counts.sum(axis=0)
    # All of n utterances get worse by chance once in 2^n times; with fewer utterances than `least`,
    # an interval would call that a change.
    few = len(counts) < least
    low, high, drawn = (None, None, None) if few else _bootstrap(counts, confidence, seed)
    found = [
        Change(
            a=float(sums[at] / sums[at + 2]),
            b=float(sums[at + 1] / sums[at + 2]),
            difference=float((sums[at + 1] - sums[at]) / sums[at + 2]),
            low=None if low is None else float(low[number]),
            high=None if high is None else float(high[number]),
        )
        for number, at in enumerate((0, 3))
    ]
    return Group(
        utterances=len(counts),
        words=int(sums[2]),
        wer=found[0],
        cer=found[1],
        better=None if drawn is None else float((drawn[0] < 0).mean()),
    )


@dataclass(frozen=True, slots=True)
class Gain:
    """By what share the second side's WER is lower: 0.05 is 5 % of the first side's."""

    share: float
    low: float | None
    """Lower bound of its interval; None: too few utterances for an interval."""
    high: float | None


def gain(errors: Sequence[tuple[Errors, Errors]], confidence: float, seed: int, least: int) -> Gain:
    """The relative gain in WER, and its interval by the same bootstrap as for `changes`.

    Where the first side makes no error it counts as one, so that no gain is infinite.
    """
    import numpy as np

    def share(first: NDArray[np.float64], second: NDArray[np.float64], axis: int = -1) -> Any:
        before, after = first.sum(axis=axis), second.sum(axis=axis)
        return (before - after) / np.maximum(before, 1)

    counts = np.array([(a.word_errors, b.word_errors) for a, b in errors], dtype=np.float64)
    sides = tuple(np.ascontiguousarray(counts.T))
    whole = float(share(*sides))
    if len(counts) < least:
        return Gain(whole, None, None)
    interval = _resampled(sides, share, confidence, seed).confidence_interval
    return Gain(whole, float(interval.low), float(interval.high))


def _bootstrap(
    counts: NDArray[np.float64], confidence: float, seed: int
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Bounds of the changes of WER and CER, shape (2,), and the drawn changes, (2, resamples).

    Args:
        counts: shape (utterances, 6): word errors of both sides, words; the same of characters.
    """
    import numpy as np

    def change(*columns: NDArray[np.float64], axis: int = -1) -> NDArray[np.float64]:
        more, words, more_characters, characters = (c.sum(axis=axis) for c in columns)
        return np.stack([more / words, more_characters / characters])

    a, b, words, c, d, characters = np.ascontiguousarray(counts.T)
    found = _resampled((b - a, words, d - c, characters), change, confidence, seed)
    interval = found.confidence_interval
    return interval.low, interval.high, found.bootstrap_distribution


def _resampled(
    columns: Sequence[NDArray[np.float64]], statistic: Any, confidence: float, seed: int
) -> Any:
    """What scipy finds for a statistic of these columns, each of one value an utterance."""
    import numpy as np
    from scipy import stats

    n = len(columns[0])
    tail = stats.norm.cdf(-math.sqrt(n / (n - 1)) * stats.t.ppf((1 + confidence) / 2, n - 1))
    return stats.bootstrap(
        columns,
        statistic,
        paired=True,
        vectorized=True,
        n_resamples=RESAMPLES,
        batch=max(1, _DRAWN_AT_ONCE // n),
        confidence_level=1 - 2 * tail,
        method="percentile",
        rng=np.random.default_rng(seed),
    )
