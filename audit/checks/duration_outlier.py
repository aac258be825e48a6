"""D002: the utterance is shorter or longer than the policy allows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from asr_gate.audit.checks.rule import Context, Rule

if TYPE_CHECKING:
    from asr_gate.audit.measured import Measured


def _find(rows: Sequence[Measured], context: Context) -> Iterator[tuple[str, str]]:
    limits = context.policy.signal
    for row in rows:
        if row.duration and not limits.min_duration <= row.duration <= limits.max_duration:
            yield (
                row.id,
                f"{row.duration:.2f} s long, outside {limits.min_duration:g} to "
                f"{limits.max_duration:g} s",
            )


RULE = Rule(
    code="D002",
    name="duration-outlier",
    severity="warning",
    summary="The utterance is shorter or longer than the policy allows.",
    mend="Cut long recordings, join or drop short ones.",
    find=_find,
)
