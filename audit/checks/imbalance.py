"""What the rules for the make-up of a corpus share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import fsum
from typing import TYPE_CHECKING, NamedTuple

from asr_gate.audit.checks.rule import Context
from asr_gate.corpus.utterance import Utterance

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
    rows: Sequence[Judged], context: Context, label_of: Callable[[Utterance], str | None]
) -> list[Share]:
    """The labels of a corpus by their share of the rows that have one; none of a small corpus."""
    labelled = [(u, label) for u in context.corpus.utterances if (label := label_of(u))]
    if len(labelled) < FEW:
        return []
    heard = {row.id for row in rows}
    timed = all(u.duration is not None for u, _ in labelled)
    by_label: dict[str, list[Utterance]] = {}
    for u, label in labelled:
        by_label.setdefault(label, []).append(u)
    sizes = {
        label: fsum((u.duration or 0.0) if timed else 1.0 for u in members)
        for label, members in by_label.items()
    }
    total = fsum(sizes.values())
    return [
        Share(
            label,
            sizes[label] / total,
            "hours" if timed else "rows",
            next((u.id for u in members if u.id in heard), members[0].id),
        )
        for label, members in by_label.items()
    ]
