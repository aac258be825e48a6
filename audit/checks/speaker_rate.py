"""Rule D007, speaker-rate: `pages/D007.md` says what it finds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import exp, log
from statistics import median
from typing import TYPE_CHECKING

from asr_gate.audit.checks.rule import Context, Rule, measured
from asr_gate.corpus.rows import with_ids

if TYPE_CHECKING:
    from asr_gate.audit.records.judged import Judged
    from asr_gate.audit.records.measured import Measured

LEAST_LETTERS, LEAST_SPEECH = 15, 1.0
"""Letters, and seconds of speech. The rate of a shorter row says little."""
NORMAL = 1.4826
"""From the median absolute deviation to the standard deviation of a normal distribution."""
LEAST_DEVIATION = 0.08
"""Of the logarithm. Readers have about 0.12; a machine that reads evenly makes no outliers."""


def _find(rows: Sequence[Judged], context: Context) -> Iterator[tuple[str, str]]:
    limits = context.policy.quality
    by_speaker: dict[str, list[Measured]] = {}
    known = with_ids(context.corpus.utterances, (row.id for row in rows))
    for row in measured(rows):
        speaker = known[row.id].speaker
        if speaker and row.letters >= LEAST_LETTERS and row.speech_seconds >= LEAST_SPEECH:
            by_speaker.setdefault(speaker, []).append(row)
    for speaker, spoken in by_speaker.items():
        if len(spoken) < limits.min_speaker_rows:
            continue
        # Twice as fast is as far away as half as fast.
        usual = median(log(row.rate) for row in spoken)
        spread = NORMAL * median(abs(log(row.rate) - usual) for row in spoken)
        far = limits.max_speaker_deviations * max(spread, LEAST_DEVIATION)
        for row in spoken:
            if abs(log(row.rate) - usual) > far:
                yield (
                    row.id,
                    f"{row.rate:.1f} letters a second of speech, where '{speaker}' has "
                    f"{exp(usual):.1f}, and nearly always {exp(usual - far):.1f} to "
                    f"{exp(usual + far):.1f}",
                )


RULE = Rule("D007", _find, compares=True)
