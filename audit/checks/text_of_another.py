"""Rule A012, text-of-another-row: `pages/A012.md` says what it finds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from asr_gate.audit.checks.rule import Context, Found, Rule

if TYPE_CHECKING:
    from asr_gate.audit.records.judged import Judged


def _find(rows: Sequence[Judged], context: Context) -> Iterator[Found]:
    if context.pairing is None:
        return
    for row in context.pairing.found:
        why = (
            "by the rows around it, which are shifted"
            if row.ratio is None
            else f"which costs {row.ratio:.2f} of what the next best text costs"
        )
        yield Found(row.id, f"its audio says the text of {row.text_of} ({why})")


RULE = Rule("A012", _find, compares=True)
