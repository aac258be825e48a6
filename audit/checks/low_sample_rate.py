"""S005: stored at a lower rate than acoustic models hear."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from asr_gate.audit.checks.rule import Context, Rule

if TYPE_CHECKING:
    from asr_gate.audit.measured import Measured


def _find(rows: Sequence[Measured], context: Context) -> Iterator[tuple[str, str]]:
    least = context.policy.signal.min_sample_rate
    heard = [row.signal.sample_rate for row in rows if row.signal is not None]
    low = sum(rate < least for rate in heard)
    for row in rows:
        if row.signal is not None and row.signal.sample_rate < least:
            yield (
                row.id,
                f"{row.signal.sample_rate} samples a second, under {least}; so are {low} of the "
                f"{len(heard)} rows that were heard",
            )


RULE = Rule(
    code="S005",
    name="low-sample-rate",
    severity="warning",
    summary="Stored at a lower rate than acoustic models hear.",
    mend="Look for the recording at its first rate; keep such rows apart, as a domain.",
    find=_find,
)
