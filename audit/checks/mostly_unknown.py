"""Rule T004, mostly-unknown: `pages/T004.md` says what it finds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from asr_gate.audit.checks.rule import Context, Rule, measured

if TYPE_CHECKING:
    from asr_gate.audit.records.judged import Judged


def _find(rows: Sequence[Judged], context: Context) -> Iterator[tuple[str, str]]:
    most = context.policy.quality.max_unknown
    for row in measured(rows):
        if row.fault is None and row.unknown > most * row.letters:
            yield (
                row.id,
                f"{row.unknown} of {row.letters} characters are outside the model's alphabet, "
                f"over {most:.0%}: nothing says that they are spoken",
            )


RULE = Rule("T004", _find)
