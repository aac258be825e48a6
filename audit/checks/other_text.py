"""A008: the transcript is that of something else."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from asr_gate.audit.checks.rule import Context, Found, Rule
from asr_gate.audit.checks.single import heard, is_other_text

if TYPE_CHECKING:
    from asr_gate.audit.measured import Measured


def _find(rows: Sequence[Measured], context: Context) -> Iterator[Found]:
    for row in heard(rows, context):
        if is_other_text(row, context):
            yield Found(
                row.id,
                f"it fits this audio {1 / max(row.mismatch or 0.0, 1e-6):.1f} times as well as "
                "texts of other utterances do",
                counts=context.sight.sees(row.domain, "mismatch"),
            )


RULE = Rule(
    code="A008",
    name="other-text",
    severity="error",
    summary="The transcript fits its audio hardly better than texts of other utterances do.",
    mend="Look for rows that were shifted or swapped; drop the row if its text is not found.",
    find=_find,
)
