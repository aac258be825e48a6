"""S006: the sound ends far below what the sample rate could hold."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from asr_gate.audit.checks.rule import Context, Rule

if TYPE_CHECKING:
    from asr_gate.audit.measured import Measured

FAR_BELOW = 0.75
"""Share of the highest frequency that a rate can hold; a low rate has a rule of its own (S005)."""


def _find(rows: Sequence[Measured], context: Context) -> Iterator[tuple[str, str]]:
    least = context.policy.signal.min_bandwidth
    for row in rows:
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


RULE = Rule(
    code="S006",
    name="narrow-band",
    severity="warning",
    summary="The sound ends far below what the sample rate could hold.",
    mend="Look for the recording before it was made smaller; keep such rows apart, as a domain.",
    find=_find,
)
