"""A006: something else is said in the place of a word."""

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
        # A word that is not said at all has its own rule (A005).
        flags = [(w.replaced or 0.0) > DOUBTED and (w.spoken or 0.0) >= DOUBTED for w in row.words]
        for first, after in runs(flags):
            words = row.words[first:after]
            yield Found(
                row.id,
                f"something else is said for '{' '.join(w.text for w in words)}' "
                f"(probability: {max(w.replaced or 0.0 for w in words):.2f})",
                words[0].start,
                words[-1].end,
                context.sight.sees(row.domain, "other"),
            )


RULE = Rule(
    code="A006",
    name="replaced-word",
    severity="warning",
    summary="Something else is said in the place of a word.",
    mend="Listen at the time given; write what is said.",
    find=_find,
)
