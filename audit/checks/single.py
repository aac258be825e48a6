"""What the rules for single words and gaps share."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from asr_gate.audit.checks.rule import Context

if TYPE_CHECKING:
    from asr_gate.audit.measured import Measured


def aligned(rows: Sequence[Measured]) -> Iterator[Measured]:
    """Rows with words."""
    return (row for row in rows if row.fault is None and row.words)


def heard(rows: Sequence[Measured], context: Context) -> Iterator[Measured]:
    """Rows with words, in which the model hears enough to compare them with."""
    return (row for row in aligned(rows) if context.sight.hears(row))


def is_other_text(row: Measured, context: Context) -> bool:
    """Whether the whole transcript is another's, so that its single words say nothing more."""
    if row.mismatch is None:
        return False
    return context.sight.finds(row.domain, "mismatch", row.mismatch)


def own_text(rows: Sequence[Measured], context: Context) -> Iterator[Measured]:
    """Rows with words of their own, whose single words and gaps can be looked at."""
    return (row for row in heard(rows, context) if not is_other_text(row, context))


def runs(flags: Sequence[bool]) -> Iterator[tuple[int, int]]:
    """First and one-past-last index of each run of true flags."""
    start = None
    for index, flag in enumerate([*flags, False]):
        if flag and start is None:
            start = index
        elif not flag and start is not None:
            yield start, index
            start = None
