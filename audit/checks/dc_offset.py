"""S007: the samples do not swing around zero."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from asr_gate.audit.checks.rule import Context, Rule

if TYPE_CHECKING:
    from asr_gate.audit.measured import Measured


def _find(rows: Sequence[Measured], context: Context) -> Iterator[tuple[str, str]]:
    most = context.policy.signal.max_dc_offset
    for row in rows:
        if row.signal is not None and row.signal.dc_offset > most:
            yield (
                row.id,
                f"the samples swing around {row.signal.dc_offset:.1%} of full scale, over "
                f"{most:.1%}, and not around 0",
            )


RULE = Rule(
    code="S007",
    name="dc-offset",
    severity="info",
    summary="The samples do not swing around zero.",
    mend="Remove the offset with a high-pass filter; look at the sound card or converter.",
    find=_find,
)
