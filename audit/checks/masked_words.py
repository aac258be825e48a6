"""Rule A011, masked-words: `pages/A011.md` says what it finds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from asr_gate.audit.checks.rule import Context, Found, Rule
from asr_gate.audit.checks.single import runs, self_matching

if TYPE_CHECKING:
    from asr_gate.audit.records.judged import Judged


def _find(rows: Sequence[Judged], context: Context) -> Iterator[Found]:
    # Here, because the rules are listed where nothing is installed that aligns.
    from asr_gate.audit.align.coverage import common

    for row in self_matching(rows, context):
        for first, after in runs([w.masked for w in row.words]):
            words = row.words[first:after]
            start, end = words[0].start, words[-1].end
            sound = common(row.measured.activity, [(start, end)])
            yield Found(
                row.id,
                f"'{' '.join(w.text for w in words)}' may be said or not: the model "
                f"recognises next to nothing in {sound:.1f} s of sound",
                start,
                end,
            )


RULE = Rule("A011", _find, compares=True)
