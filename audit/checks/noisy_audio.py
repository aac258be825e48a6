"""S009: the speech hardly rises above the noise."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from asr_gate.audit.checks.rule import Context, Rule

if TYPE_CHECKING:
    from asr_gate.audit.measured import Measured


def _find(rows: Sequence[Measured], context: Context) -> Iterator[tuple[str, str]]:
    limits = context.policy.signal
    for row in rows:
        ratio = row.speech_to_noise
        # Where nothing can be heard at all, that is the finding (S003).
        silent = row.peak_db < limits.silent_below_db or not row.speech_seconds
        if ratio is not None and not silent and ratio < limits.min_speech_to_noise_db:
            yield (
                row.id,
                f"loud speech is {ratio:.1f} dB above the noise, under "
                f"{limits.min_speech_to_noise_db:g} dB",
            )


RULE = Rule(
    code="S009",
    name="noisy-audio",
    severity="warning",
    summary="The speech hardly rises above the noise.",
    mend="Listen; keep the row if it is what the model will hear, and drop it otherwise.",
    find=_find,
)
