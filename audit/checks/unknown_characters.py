"""Rule T003, unknown-characters: `pages/T003.md` says what it finds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from asr_gate.audit.checks.rule import Context, Rule, measured

if TYPE_CHECKING:
    from asr_gate.audit.records.judged import Judged


def _find(rows: Sequence[Judged], context: Context) -> Iterator[tuple[str, str]]:
    for row in measured(rows):
        if row.fault is None and row.unknown:
            yield (
                row.id,
                f"{row.unknown} of {row.letters} characters are outside the model's alphabet "
                "and were aligned to a wildcard",
            )


RULE = Rule("T003", _find)
