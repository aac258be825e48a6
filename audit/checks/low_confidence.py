"""Rule A003, low-confidence: `pages/A003.md` says what it finds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from asr_gate.audit.checks.rule import Context, Found, Rule
from asr_gate.audit.checks.single import recognised

if TYPE_CHECKING:
    from asr_gate.audit.records.judged import Judged


def _find(rows: Sequence[Judged], context: Context) -> Iterator[Found]:
    least = context.policy.quality.min_confidence
    for row in recognised(rows, context):
        # Where no word was kept, that is the finding (A001).
        kept = any(word.kept for word in row.words)
        if kept and row.confidence < least:
            yield Found(
                row.id,
                f"confidence of the kept words is {row.confidence:.2f}, under {least:g}",
                counts="confidence" in context.absolute_thresholds[row.domain],
            )


RULE = Rule("A003", _find, compares=True)
