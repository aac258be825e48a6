"""Rule S003, silent-audio: `pages/S003.md` says what it finds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from asr_gate.audit.checks.rule import Context, Rule, measured
from asr_gate.audit.checks.single import is_silent

if TYPE_CHECKING:
    from asr_gate.audit.records.judged import Judged


def _find(rows: Sequence[Judged], context: Context) -> Iterator[tuple[str, str]]:
    for row in measured(rows):
        if is_silent(row, context):
            yield (
                row.id,
                f"no speech; the loudest 10 ms are at {row.peak_db:.0f} dB of full scale",
            )


RULE = Rule("S003", _find)
