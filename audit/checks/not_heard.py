"""A010: the model hears next to nothing in the speech."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from asr_gate.audit.checks.rule import Context, Found, Rule
from asr_gate.audit.checks.single import aligned

if TYPE_CHECKING:
    from asr_gate.audit.measured import Measured


def _find(rows: Sequence[Measured], context: Context) -> Iterator[Found]:
    for row in aligned(rows):
        if not context.sight.hears(row):
            yield Found(
                row.id,
                f"the model hears {row.tokens} letters in {row.speech_seconds:.1f} s of speech, "
                f"where {context.sight.pace * row.speech_seconds:.0f} are usual; nothing can be "
                "said about its transcript",
            )


RULE = Rule(
    code="A010",
    name="not-heard",
    severity="error",
    summary="The model hears too little in the speech to say anything about its transcript.",
    mend="Listen: is it speech, or noise or music? An aligner for such recordings may hear more.",
    find=_find,
)
