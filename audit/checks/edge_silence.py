"""Rule S010, edge-silence: `pages/S010.md` says what it finds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from asr_gate.audit.checks.rule import Context, Found, Rule, measured

if TYPE_CHECKING:
    from asr_gate.audit.records.judged import Judged


def _find(rows: Sequence[Judged], context: Context) -> Iterator[Found]:
    most = context.policy.signal.max_edge_silence
    for row in measured(rows):
        if not row.activity:
            continue
        begins, ends = row.activity[0][0], row.activity[-1][1]
        for start, end, where in ((0.0, begins, "before"), (ends, row.duration, "after")):
            if end - start > most:
                message = f"{end - start:.1f} s of silence {where} all speech, over {most:g} s"
                yield Found(row.id, message, start, end)


RULE = Rule("S010", _find)
