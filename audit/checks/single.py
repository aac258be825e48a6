"""What the rules for single words and gaps share."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from asr_gate.audit.checks.cuts import mismatching_cuts
from asr_gate.audit.checks.rule import Context

if TYPE_CHECKING:
    from asr_gate.audit.records.judged import Judged
    from asr_gate.audit.records.measured import Measured


def aligned(rows: Sequence[Judged]) -> Iterator[Judged]:
    """Rows with words."""
    return (row for row in rows if row.measured.fault is None and row.words)


def is_silent(row: Measured, context: Context) -> bool:
    """Whether a recording that was decoded has no audible speech (S003): nothing else is said of
    its transcript then."""
    quiet = row.peak_db < context.policy.signal.silent_below_db
    return row.duration > 0 and (quiet or not row.speech_seconds)


def recognised(rows: Sequence[Judged], context: Context) -> Iterator[Judged]:
    """Rows with words and speech, of which the model recognises enough to judge them."""
    return (
        row
        for row in aligned(rows)
        if context.calibration.recognises_enough(row.measured)
        and not is_silent(row.measured, context)
    )


def mismatches(row: Judged, context: Context) -> bool:
    """Whether the transcript fits its audio hardly better than texts of other utterances do."""
    if row.measured.mismatch is None:
        return False
    return context.calibration.passes(row.domain, "mismatch", row.measured.mismatch)


def is_other_text(row: Judged, context: Context) -> bool:
    """Whether the whole transcript is another's, so that its single words say nothing more."""
    return mismatches(row, context) and not mismatching_cuts(row, context)


def self_matching(rows: Sequence[Judged], context: Context) -> Iterator[Judged]:
    """Rows whose text is their own, so that single words and gaps can be judged."""
    return (row for row in recognised(rows, context) if not is_other_text(row, context))


def runs(flags: Sequence[bool]) -> Iterator[tuple[int, int]]:
    """First and one-past-last index of each run of true flags."""
    start = None
    for index, flag in enumerate([*flags, False]):
        if flag and start is None:
            start = index
        elif not flag and start is not None:
            yield start, index
            start = None
