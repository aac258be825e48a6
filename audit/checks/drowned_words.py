"""A011: words in whose place there is sound, but nothing that the model hears."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from asr_gate.audit.checks.rule import Context, Found, Rule
from asr_gate.audit.checks.single import own_text, runs

if TYPE_CHECKING:
    from asr_gate.audit.measured import Measured


def _find(rows: Sequence[Measured], context: Context) -> Iterator[Found]:
    # Here, because the rules are listed where nothing is installed that aligns.
    from asr_gate.audit.align.coverage import common

    for row in own_text(rows, context):
        for first, after in runs([w.drowned for w in row.words]):
            words = row.words[first:after]
            start, end = words[0].start, words[-1].end
            yield Found(
                row.id,
                f"'{' '.join(w.text for w in words)}' may be said or not: the model hears next to "
                f"nothing in {common(row.activity, [(start, end)]):.1f} s of sound",
                start,
                end,
            )


RULE = Rule(
    code="A011",
    name="drowned-words",
    severity="warning",
    summary="Several words in whose place there is sound, but nothing that the model hears.",
    mend="Listen at the time given; take the words out if they are not said.",
    find=_find,
)
