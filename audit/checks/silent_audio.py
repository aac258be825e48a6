"""S003: no speech can be heard."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from asr_gate.audit.checks.rule import Context, Rule

if TYPE_CHECKING:
    from asr_gate.audit.measured import Measured


def _find(rows: Sequence[Measured], context: Context) -> Iterator[tuple[str, str]]:
    limit = context.policy.signal.silent_below_db
    for row in rows:
        if row.duration and (row.peak_db < limit or not row.speech_seconds):
            yield row.id, f"no speech; the loudest 10 ms are at {row.peak_db:.0f} dB of full scale"


RULE = Rule(
    code="S003",
    name="silent-audio",
    severity="error",
    summary="No speech can be heard.",
    mend="Check the channel and the level of the recording; drop the row if nothing is on it.",
    find=_find,
)
