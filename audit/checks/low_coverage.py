"""Rule A001, low-coverage: `pages/A001.md` says what it finds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from asr_gate.audit.checks.rule import Context, Found, Rule
from asr_gate.audit.checks.single import recognised

if TYPE_CHECKING:
    from asr_gate.audit.records.judged import Judged


def _find(rows: Sequence[Judged], context: Context) -> Iterator[Found]:
    least = context.policy.quality.min_coverage
    for row in recognised(rows, context):
        if row.coverage < least:
            missing = [word.text for word in row.words if not word.kept]
            example = f" ('{' '.join(missing[:6])}' is not)" if missing else ""
            yield Found(
                row.id,
                f"{row.text_coverage:.0%} of the text is said{example}; "
                f"{row.speech_coverage:.0%} of the speech is transcribed",
                counts="coverage" in context.absolute_thresholds[row.domain],
            )


RULE = Rule("A001", _find, compares=True)
