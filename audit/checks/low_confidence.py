"""A003: the words that were kept fit their sound badly."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from asr_gate.audit.checks.rule import Context, Found, Rule
from asr_gate.audit.checks.single import heard

if TYPE_CHECKING:
    from asr_gate.audit.measured import Measured


def _find(rows: Sequence[Measured], context: Context) -> Iterator[Found]:
    least = context.policy.quality.min_confidence
    for row in heard(rows, context):
        # Where no word was kept, that is the finding (A001).
        kept = any(word.kept for word in row.words)
        if kept and row.confidence < least:
            yield Found(
                row.id,
                f"confidence of the kept words is {row.confidence:.2f}, under {least:g}",
                counts="confidence" in context.figures[row.domain],
            )


RULE = Rule(
    code="A003",
    name="low-confidence",
    severity="error",
    summary="The words that the alignment keeps fit their sound badly.",
    mend="Listen; the speech may be unclear, or the text only like it.",
    find=_find,
)
