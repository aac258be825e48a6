"""A005: a word of the transcript is not said."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from asr_gate.audit.checks.rule import Context, Found, Rule
from asr_gate.audit.checks.single import own_text, runs
from asr_gate.audit.controls.kinds import DOUBTED

if TYPE_CHECKING:
    from asr_gate.audit.measured import Measured


def _find(rows: Sequence[Measured], context: Context) -> Iterator[Found]:
    for row in own_text(rows, context):
        for first, after in runs([(w.spoken or 0.0) < DOUBTED for w in row.words]):
            words = row.words[first:after]
            yield Found(
                row.id,
                f"'{' '.join(w.text for w in words)}' is not said "
                f"(probability that it is: {max(w.spoken or 0.0 for w in words):.2f})",
                words[0].start,
                words[-1].end,
                context.sight.sees(row.domain, "unsaid"),
            )


RULE = Rule(
    code="A005",
    name="unspoken-word",
    severity="warning",
    summary="A word of the transcript is not said, or is written twice and said once.",
    mend="Listen at the time given; take the word out of the transcript.",
    find=_find,
)
