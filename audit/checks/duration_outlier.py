"""Rule D002, duration-outlier: `pages/D002.md` says what it finds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from asr_gate.audit.checks.rule import Context, Rule, measured

if TYPE_CHECKING:
    from asr_gate.audit.records.judged import Judged


def _find(rows: Sequence[Judged], context: Context) -> Iterator[tuple[str, str]]:
    limits = context.policy.signal
    for row in measured(rows):
        if row.duration and not limits.min_duration <= row.duration <= limits.max_duration:
            yield (
                row.id,
                f"{row.duration:.2f} s long, outside {limits.min_duration:g} to "
                f"{limits.max_duration:g} s",
            )


RULE = Rule("D002", _find)
