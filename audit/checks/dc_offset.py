"""Rule S007, dc-offset: `pages/S007.md` says what it finds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from asr_gate.audit.checks.rule import Context, Rule, measured

if TYPE_CHECKING:
    from asr_gate.audit.records.judged import Judged


def _find(rows: Sequence[Judged], context: Context) -> Iterator[tuple[str, str]]:
    most = context.policy.signal.max_dc_offset
    for row in measured(rows):
        if row.signal is not None and row.signal.dc_offset > most:
            yield (
                row.id,
                f"the samples swing around {row.signal.dc_offset:.1%} of full scale, over "
                f"{most:.1%}, and not around 0",
            )


RULE = Rule("S007", _find)
