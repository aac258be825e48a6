"""Rule D003, length-mismatch: `pages/D003.md` says what it finds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import median
from typing import TYPE_CHECKING

from asr_gate.audit.checks.rule import Context, Rule, measured

if TYPE_CHECKING:
    from asr_gate.audit.records.judged import Judged


def _find(rows: Sequence[Judged], context: Context) -> Iterator[tuple[str, str]]:
    band = context.policy.quality.rate_band
    by_domain: dict[str, list[float]] = {}
    for row in measured(rows):
        if row.letters and row.speech_seconds:
            by_domain.setdefault(row.domain, []).append(row.rate)
    # The median: a third of wrong transcripts hardly moves it.
    usual = {domain: median(rates) for domain, rates in by_domain.items()}
    for row in measured(rows):
        if row.letters and row.speech_seconds:
            low, high = usual[row.domain] / band, usual[row.domain] * band
            if not low <= row.rate <= high:
                yield (
                    row.id,
                    f"{row.rate:.1f} letters a second of speech, outside {low:.1f} to {high:.1f}",
                )


RULE = Rule("D003", _find, compares=True)
