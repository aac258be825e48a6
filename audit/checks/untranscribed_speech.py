"""A007: speech that the transcript lacks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from asr_gate.audit.checks.rule import Context, Found, Rule
from asr_gate.audit.checks.single import own_text
from asr_gate.audit.controls.kinds import DOUBTED

if TYPE_CHECKING:
    from asr_gate.audit.measured import Measured


def _find(rows: Sequence[Measured], context: Context) -> Iterator[Found]:
    for row in own_text(rows, context):
        for number, gap in enumerate(row.gaps):
            if (gap.untranscribed or 0.0) <= DOUBTED:
                continue
            near = [w.text for w in row.words[max(0, number - 1) : number + 1]]
            yield Found(
                row.id,
                f"speech between {gap.start:.2f} and {gap.end:.2f} s that the transcript lacks, "
                f"at '{' '.join(near)}' (probability: {gap.untranscribed:.2f})",
                gap.start,
                gap.end,
                context.sight.sees(row.domain, "speech"),
            )


RULE = Rule(
    code="A007",
    name="untranscribed-speech",
    severity="warning",
    summary="Something is said that the transcript lacks.",
    mend="Listen at the time given; write what is said, or cut it out of the audio.",
    find=_find,
)
