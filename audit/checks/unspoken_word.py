"""Rule A005, unspoken-word: `pages/A005.md` says what it finds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from asr_gate.audit.checks.rule import Context, Found, Rule
from asr_gate.audit.checks.single import runs, self_matching
from asr_gate.audit.records.controls import LIKELY

if TYPE_CHECKING:
    from asr_gate.audit.records.judged import Judged


def _find(rows: Sequence[Judged], context: Context) -> Iterator[Found]:
    for row in self_matching(rows, context):
        for first, after in runs([w.spoken < LIKELY for w in row.words]):
            words = row.words[first:after]
            yield Found(
                row.id,
                f"'{' '.join(w.text for w in words)}' is not said "
                f"(probability that it is: {max(w.spoken for w in words):.2f})",
                words[0].start,
                words[-1].end,
                context.calibration.can_detect(row.domain, "deletion"),
            )


RULE = Rule("A005", _find, compares=True)
