"""From single measurements to what they mean beside each other: times, probabilities, coverage."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from asr_gate.audit.align import AlignedWord
from asr_gate.audit.align.coverage import coverage
from asr_gate.audit.align.times import Delay, measure_delay, place
from asr_gate.audit.controls.calibrate import Sight
from asr_gate.audit.controls.kinds import DOUBTED
from asr_gate.audit.measured import Measured
from asr_gate.corpus.utterance import Seconds


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
    words = tuple(_believe(word, row.domain, sight) for word in words)
    gaps = tuple(
        replace(gap, untranscribed=sight.probability(row.domain, "speech", gap.speech))
        for gap in gaps
    )
    before, after = delay.delay + delay.half_letter, delay.delay - delay.half_letter
    unclaimed = tuple(
        (start, end)
        for start, end in ((max(0.0, s - before), e - after) for s, e in row.unclaimed)
        if any(_overlap(start, end, w.start, w.end) for w in words if not w.kept)
        or any(
            _overlap(start, end, gap.start, gap.end)
            for gap in gaps
            if (gap.untranscribed or 0.0) > DOUBTED
        )
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


def _believe(word: AlignedWord, domain: str, sight: Sight) -> AlignedWord:
    """A word with its probabilities; one that the path left out is kept unless they say so too.

    The path's prices are the same for all models; a weak one loses more right words to them than
    to the thresholds of its own controls. Where those are blind, the path stands. A drowned word is
    as likely said as not, and kept.
    """
    spoken = DOUBTED if word.drowned else 1 - sight.probability(domain, "unsaid", word.unsaid)
    replaced = sight.probability(domain, "other", word.other)
    cleared = sight.sees(domain, "unsaid") and spoken >= DOUBTED and replaced <= DOUBTED
    return replace(
        word, spoken=spoken, replaced=replaced, kept=word.kept or word.drowned or cleared
    )


def _overlap(start: Seconds, end: Seconds, begin: Seconds, stop: Seconds) -> bool:
    return start <= stop and begin <= end


def _said(words: Sequence[AlignedWord]) -> float:
    """Expected share of the letters that are said, and said as they are written."""
    letters = sum(word.letters for word in words)
    said = sum(w.letters * min(w.spoken or 0.0, 1 - (w.replaced or 0.0)) for w in words)
    return said / letters if letters else 0.0
