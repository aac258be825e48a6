"""From single measurements to what they mean beside each other: times, probabilities, coverage."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from audit.align import AlignedWord
from audit.align.coverage import coverage
from audit.align.times import Delay, measure_delay, place
from audit.controls.calibrate import Sight
from audit.measured import Measured
from corpus.utterance import Seconds


def judge(
    rows: Sequence[Measured], sight: Sight, stated_delay: Seconds
) -> tuple[list[Measured], Delay]:
    """Bring times to those of the sound, and fill in what depends on all utterances.

    Args:
        rows: as measured, with the model's own times.
        sight: of `audit.controls.calibrate`.
        stated_delay: of the model, for data that says too little.
    """
    delay = measure_delay(
        [row.lags for row in rows if row.lags], (row.words for row in rows), stated_delay
    )
    return [_judge_one(row, sight, delay) for row in rows], delay


def _judge_one(row: Measured, sight: Sight, delay: Delay) -> Measured:
    if not row.words:
        return row
    words, gaps = place(row.words, row.gaps, row.activity, delay, row.duration)
    words = tuple(
        replace(
            word,
            spoken=1 - sight.probability(row.domain, "unsaid", word.unsaid),
            replaced=sight.probability(row.domain, "other", word.other),
        )
        for word in words
    )
    gaps = tuple(
        replace(gap, untranscribed=sight.probability(row.domain, "speech", gap.speech))
        for gap in gaps
    )
    shift = delay.delay
    unclaimed = tuple(
        (max(0.0, start - shift - delay.half_letter), end - shift + delay.half_letter)
        for start, end in row.unclaimed
    )
    found = coverage(words, unclaimed, row.activity)
    own = 1.0
    if row.mismatch is not None:
        own = 1 - sight.probability(row.domain, "mismatch", row.mismatch)
    return replace(
        row,
        words=words,
        gaps=gaps,
        unclaimed=unclaimed,
        text_coverage=found.text,
        speech_coverage=found.speech,
        confidence=found.confidence,
        quality=own * _said(words) * found.speech,
    )


def _said(words: Sequence[AlignedWord]) -> float:
    """Expected share of the letters that are said, and said as they are written."""
    letters = sum(word.letters for word in words)
    said = sum(w.letters * min(w.spoken or 0.0, 1 - (w.replaced or 0.0)) for w in words)
    return said / letters if letters else 0.0
