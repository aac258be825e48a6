"""T003: characters that are spoken and that the acoustic model cannot hear."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from asr_gate.audit.checks.rule import Context, Rule

if TYPE_CHECKING:
    from asr_gate.audit.measured import Measured


def _find(rows: Sequence[Measured], context: Context) -> Iterator[tuple[str, str]]:
    for row in rows:
        if row.fault is None and row.unknown:
            yield (
                row.id,
                f"{row.unknown} of {row.letters} characters are outside the model's alphabet "
                "and were aligned to a wildcard",
            )


RULE = Rule(
    code="T003",
    name="unknown-characters",
    severity="warning",
    summary="Characters that are spoken and that the acoustic model's alphabet lacks.",
    mend="Write the characters out as they are read, or use an aligner that knows them.",
    find=_find,
)
