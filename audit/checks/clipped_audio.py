"""Rule S004, clipped-audio: `pages/S004.md` says what it finds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from asr_gate.audit.checks.rule import Context, Rule, measured

if TYPE_CHECKING:
    from asr_gate.audit.records.judged import Judged


def _find(rows: Sequence[Judged], context: Context) -> Iterator[tuple[str, str]]:
    limit = context.policy.signal.max_clipped
    for row in measured(rows):
        if row.signal is not None and row.signal.clipped > limit:
            yield (
                row.id,
                f"{row.signal.clipped:.1%} of the samples are at full scale, over {limit:.1%}",
            )


RULE = Rule("S004", _find)
