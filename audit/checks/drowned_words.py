"""A011: words in whose place there is sound, but nothing that the model hears."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from audit.checks.rule import Context, Found, Rule
from audit.checks.single import own_text, runs

if TYPE_CHECKING:
    from audit.measured import Measured

SURE = 0.5
"""That a word would be heard if it were said, from which on A005 speaks of it."""


def _find(rows: Sequence[Measured], context: Context) -> Iterator[Found]:
    for row in own_text(rows, context):
        for first, after in runs([w.audible < SURE for w in row.words]):
            words = row.words[first:after]
            start, end = words[0].start, words[-1].end
            yield Found(
                row.id,
                f"'{' '.join(w.text for w in words)}' may be said or not: the model hears next to "
                f"nothing in {end - start:.1f} s of sound",
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
