"""A001: the transcript is not what is said, or not all that is said."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from asr_gate.audit.checks.rule import Context, Found, Rule
from asr_gate.audit.checks.single import heard

if TYPE_CHECKING:
    from asr_gate.audit.measured import Measured


def _find(rows: Sequence[Measured], context: Context) -> Iterator[Found]:
    least = context.policy.quality.min_coverage
    for row in heard(rows, context):
        # Where there is no speech, that is the finding (S003).
        if row.speech_seconds and row.coverage < least:
            unsaid = [word.text for word in row.words if not word.kept]
            example = f", not '{' '.join(unsaid[:6])}'" if unsaid else ""
            yield Found(
                row.id,
                f"{row.text_coverage:.0%} of the text is said{example}; "
                f"{row.speech_coverage:.0%} of the speech is transcribed",
                counts="coverage" in context.figures[row.domain],
            )


RULE = Rule(
    code="A001",
    name="low-coverage",
    severity="error",
    summary="The transcript is not what is said, or not all that is said.",
    mend="Listen, and compare the transcript; drop the row if it belongs to other audio.",
    find=_find,
)
