"""Rule S008, channels-differ: `pages/S008.md` says what it finds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from asr_gate.audit.checks.rule import Context, Rule, measured

if TYPE_CHECKING:
    from asr_gate.audit.records.judged import Judged


def _find(rows: Sequence[Judged], context: Context) -> Iterator[tuple[str, str]]:
    limits = context.policy.signal
    for row in measured(rows):
        signal = row.signal
        if signal is None or signal.channels < 2 or not row.speech_seconds:
            continue
        correlation = signal.channel_correlation
        if signal.channel_gap > limits.max_channel_gap_db:
            yield (
                row.id,
                f"one of {signal.channels} channels is {signal.channel_gap:.0f} dB quieter than "
                f"the loudest, over {limits.max_channel_gap_db:g} dB",
            )
        elif correlation is not None and correlation < limits.min_channel_correlation:
            yield (
                row.id,
                f"the {signal.channels} channels hold different sound (correlation "
                f"{correlation:.2f}, under {limits.min_channel_correlation:g}), and are mixed",
            )


RULE = Rule("S008", _find)
