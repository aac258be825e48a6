"""What a strict aligner says of some rows, beside the audit's own judgement."""

from __future__ import annotations

from asr_gate.audit.records.finding import Frozen


class AskedRow(Frozen):
    """One row, and how a strict aligner scores it: log-probabilities, at most 0."""

    id: str
    excluded_by: list[str]
    """Codes of the errors that exclude it; empty: the audit keeps it."""
    mean: float | None = None
    """Over the frames of all letters; null: no answer."""
    worst: float | None = None
    """The same of the word with the least."""
    worst_word: str | None = None
    unknown: int = 0
    """Characters that the model does not know: a wildcard takes them, at no cost."""
    reason: str | None = None
    """Why there is no answer."""


class SecondOpinion(Frozen):
    """A strict aligner on rows that the audit excludes and on at least as many that it keeps."""

    aligner: str
    """Package and version."""
    excluded: int
    """Aligned rows that the audit excludes; of more than 500, so many are asked about, by lot."""
    line: float | None
    """Mean that 5 % of the kept rows fall under; null: no kept row has a score."""
    cleared: list[str]
    """Rows that an alignment rule excludes, and that score no worse than the line."""
    doubted: list[str]
    """Kept rows under the line."""
    rows: list[AskedRow]
    """By id."""

    @property
    def unanswered(self) -> int:
        """Rows of which the strict aligner says nothing."""
        return sum(row.mean is None for row in self.rows)
