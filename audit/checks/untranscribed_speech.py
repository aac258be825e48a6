"""Rule A007, untranscribed-speech: `pages/A007.md` says what it finds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from asr_gate.audit.checks.rule import Context, Found, Rule
from asr_gate.audit.checks.single import self_matching
from asr_gate.audit.records.controls import LIKELY

if TYPE_CHECKING:
    from asr_gate.audit.records.judged import Judged


def _find(rows: Sequence[Judged], context: Context) -> Iterator[Found]:
    for row in self_matching(rows, context):
        for number, gap in enumerate(row.gaps):
            if gap.untranscribed <= LIKELY:
                continue
            near = [w.text for w in row.words[max(0, number - 1) : number + 1]]
            yield Found(
                row.id,
                f"speech between {gap.start:.2f} and {gap.end:.2f} s that the transcript lacks, "
                f"at '{' '.join(near)}' (probability: {gap.untranscribed:.2f})",
                gap.start,
                gap.end,
                context.calibration.can_detect(row.domain, "insertion"),
            )


RULE = Rule("A007", _find, compares=True)
