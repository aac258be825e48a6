"""Rule S009, noisy-audio: `pages/S009.md` says what it finds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from asr_gate.audit.checks.rule import Context, Rule, measured

if TYPE_CHECKING:
    from asr_gate.audit.records.judged import Judged


def _find(rows: Sequence[Judged], context: Context) -> Iterator[tuple[str, str]]:
    limits = context.policy.signal
    for row in measured(rows):
        ratio = row.speech_to_noise
        # Where nothing can be heard at all, that is the finding (S003).
        silent = row.peak_db < limits.silent_below_db or not row.speech_seconds
        if ratio is not None and not silent and ratio < limits.min_speech_to_noise_db:
            yield (
                row.id,
                f"loud speech is {ratio:.1f} dB above the noise, under "
                f"{limits.min_speech_to_noise_db:g} dB",
            )


RULE = Rule("S009", _find)
