"""S004: the recording is cut off at full scale."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from asr_gate.audit.checks.rule import Context, Rule

if TYPE_CHECKING:
    from asr_gate.audit.measured import Measured


def _find(rows: Sequence[Measured], context: Context) -> Iterator[tuple[str, str]]:
    limit = context.policy.signal.max_clipped
    for row in rows:
        if row.signal is not None and row.signal.clipped > limit:
            yield (
                row.id,
                f"{row.signal.clipped:.1%} of the samples are at full scale, over {limit:.1%}",
            )


RULE = Rule(
    code="S004",
    name="clipped-audio",
    severity="warning",
    summary="The recording is cut off at full scale.",
    mend="Record or export it at a lower level.",
    find=_find,
)
