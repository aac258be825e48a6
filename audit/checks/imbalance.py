"""What the rules for the make-up of a corpus share."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from math import fsum
from typing import TYPE_CHECKING, Literal, NamedTuple

from asr_gate.audit.checks.rule import Context
from asr_gate.corpus.rows import columns

if TYPE_CHECKING:
    from asr_gate.audit.records.judged import Judged

FEW = 50
"""Rows. The make-up of a smaller corpus is no statement."""


class Share(NamedTuple):
    """How much of a corpus has one label."""

    label: str
    share: float
    """0 to 1."""
    unit: str
    """Of what: hours, or rows where some do not declare their length."""
    row: str
    """Id of a row that has it: the first that was heard, or else the first."""


def shares(
    rows: Sequence[Judged], context: Context, label: Literal["domain", "speaker"]
) -> list[Share]:
    """The labels of a corpus by their share of the rows that have one; none of a small corpus."""
    heard = {row.id for row in rows}
    seconds: dict[str, array[float]] = {}
    example: dict[str, str] = {}
    timed = True
    for name, identity, duration in columns(context.corpus.utterances, label, "id", "duration"):
        if not name:
            continue
        timed = timed and duration is not None
        seconds.setdefault(name, array("d")).append(duration or 0.0)
        if example.setdefault(name, identity) not in heard and identity in heard:
            example[name] = identity
    if sum(map(len, seconds.values())) < FEW:
        return []
    sizes = {name: fsum(one) if timed else float(len(one)) for name, one in seconds.items()}
    total = fsum(sizes.values())
    unit = "hours" if timed else "rows"
    return [Share(name, size / total, unit, example[name]) for name, size in sizes.items()]
