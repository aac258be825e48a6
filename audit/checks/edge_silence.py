"""S010: a long silence before or after all speech."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from asr_gate.audit.checks.rule import Context, Found, Rule

if TYPE_CHECKING:
    from asr_gate.audit.measured import Measured


def _find(rows: Sequence[Measured], context: Context) -> Iterator[Found]:
    most = context.policy.signal.max_edge_silence
    for row in rows:
        if not row.activity:
            continue
        begins, ends = row.activity[0][0], row.activity[-1][1]
        for start, end, where in ((0.0, begins, "before"), (ends, row.duration, "after")):
            if end - start > most:
                message = f"{end - start:.1f} s of silence {where} all speech, over {most:g} s"
                yield Found(row.id, message, start, end)


RULE = Rule(
    code="S010",
    name="edge-silence",
    severity="info",
    summary="A long silence stands before or after all speech.",
    mend="Cut it off: set offset and duration in the manifest, or trim the audio.",
    find=_find,
)
