"""Rule S005, low-sample-rate: `pages/S005.md` says what it finds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from asr_gate.audit.checks.rule import Context, Rule, measured

if TYPE_CHECKING:
    from asr_gate.audit.records.judged import Judged


def _find(rows: Sequence[Judged], context: Context) -> Iterator[tuple[str, str]]:
    least = context.policy.signal.min_sample_rate
    rates = [row.signal.sample_rate for row in measured(rows) if row.signal is not None]
    low = sum(rate < least for rate in rates)
    for row in measured(rows):
        if row.signal is not None and row.signal.sample_rate < least:
            yield (
                row.id,
                f"{row.signal.sample_rate} samples a second, under {least}; so are {low} of the "
                f"{len(rates)} sampled rows",
            )


RULE = Rule("S005", _find)
