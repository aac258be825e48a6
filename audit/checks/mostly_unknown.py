"""T004: too much of the transcript is outside the acoustic model's alphabet to judge it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from asr_gate.audit.checks.rule import Context, Rule

if TYPE_CHECKING:
    from asr_gate.audit.measured import Measured


def _find(rows: Sequence[Measured], context: Context) -> Iterator[tuple[str, str]]:
    most = context.policy.quality.max_unknown
    for row in rows:
        if row.fault is None and row.unknown > most * row.letters:
            yield (
                row.id,
                f"{row.unknown} of {row.letters} characters are outside the model's alphabet, "
                f"over {most:.0%}: nothing says that they are spoken",
            )


RULE = Rule(
    code="T004",
    name="mostly-unknown",
    severity="error",
    summary="Too much of the transcript is outside the acoustic model's alphabet to judge it.",
    mend="Write the text out as it is read, or use an aligner that knows its characters.",
    find=_find,
)
