"""Rule A009, cut-off: `pages/A009.md` says what it finds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import TYPE_CHECKING

from asr_gate.audit.checks.cuts import audio_cuts, mismatching_cuts, text_cuts
from asr_gate.audit.checks.rule import Context, Found, Rule
from asr_gate.audit.checks.single import mismatches, self_matching

if TYPE_CHECKING:
    from asr_gate.audit.records.judged import Judged


def _find(rows: Sequence[Judged], context: Context) -> Iterator[Found]:
    for row in self_matching(rows, context):
        found = (
            mismatching_cuts(row, context)
            if mismatches(row, context)
            else chain(text_cuts(row, context), audio_cuts(row, context))
        )
        for cut in found:
            can_detect = context.calibration.can_detect(row.domain, cut.evidence)
            yield Found(row.id, cut.message, cut.start, cut.end, can_detect)


RULE = Rule("A009", _find, compares=True)
