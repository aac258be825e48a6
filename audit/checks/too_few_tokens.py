"""Rule A010, too-few-tokens: `pages/A010.md` says what it finds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from asr_gate.audit.checks.rule import Context, Found, Rule
from asr_gate.audit.checks.single import aligned

if TYPE_CHECKING:
    from asr_gate.audit.records.judged import Judged


def _find(rows: Sequence[Judged], context: Context) -> Iterator[Found]:
    for row in aligned(rows):
        found, seconds = row.measured.tokens, row.measured.speech_seconds
        if not context.calibration.recognises_enough(row.measured):
            yield Found(
                row.id,
                f"the model recognises {found} letters in {seconds:.1f} s of speech, "
                f"where {context.calibration.tokens_per_second * seconds:.0f} are usual; nothing "
                "can be said about its transcript",
            )


RULE = Rule("A010", _find, compares=True)
