"""Rule A008, other-text: `pages/A008.md` says what it finds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from asr_gate.audit.checks.rule import Context, Found, Rule
from asr_gate.audit.checks.single import is_other_text, recognised

if TYPE_CHECKING:
    from asr_gate.audit.records.judged import Judged


def _find(rows: Sequence[Judged], context: Context) -> Iterator[Found]:
    for row in recognised(rows, context):
        if is_other_text(row, context):
            mismatch = row.measured.mismatch or 0.0
            usual = context.calibration.thresholds[row.domain]["mismatch"]
            yield Found(
                row.id,
                "it fits this audio hardly better than texts of other utterances do (mismatch "
                f"{mismatch:.2f}; right texts stay under {usual:.2f})",
                counts=context.calibration.can_detect(row.domain, "mismatch"),
            )


RULE = Rule("A008", _find, compares=True)
