"""Rule S006, narrow-band: `pages/S006.md` says what it finds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from asr_gate.audit.checks.rule import Context, Rule, measured

if TYPE_CHECKING:
    from asr_gate.audit.records.judged import Judged

FAR_BELOW = 0.75
"""Share of the highest frequency that a rate can hold; a low rate has a rule of its own (S005)."""


def _find(rows: Sequence[Judged], context: Context) -> Iterator[tuple[str, str]]:
    least = context.policy.signal.min_bandwidth
    for row in measured(rows):
        signal = row.signal
        if signal is None or signal.bandwidth is None or not row.speech_seconds:
            continue
        highest = signal.sample_rate / 2
        if signal.bandwidth < min(least, FAR_BELOW * highest):
            yield (
                row.id,
                f"nothing above {signal.bandwidth:.0f} Hz, under {least:g} Hz, in a file that can "
                f"hold {highest:g} Hz",
            )


RULE = Rule("S006", _find)
