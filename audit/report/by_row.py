"""The findings of a report by row: each row once, with its file and line and its cause first."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from asr_gate.audit.records.causes import CAUSES, OTHER, Cause, cause_of, strongest_first
from asr_gate.audit.records.excluded import excludes
from asr_gate.audit.records.finding import Finding
from asr_gate.audit.records.report import Report
from asr_gate.audit.report.locations import (
    LEVELS,
    LONGEST,
    Level,
    Location,
    Locations,
    level,
    shortened,
)


@dataclass(frozen=True, slots=True)
class LocatedRow:
    """One row with findings."""

    place: Location
    findings: list[Finding]
    """The cause first, then the details."""

    @property
    def id(self) -> str:
        """The row's id."""
        return self.first.id

    @property
    def first(self) -> Finding:
        """The finding that explains the row best."""
        return self.findings[0]

    @property
    def cause(self) -> Cause:
        """What is wrong with the row."""
        return cause_of(self.first.code)

    @property
    def level(self) -> Level:
        """How much its weightiest finding weighs."""
        return min(map(level, self.findings), key=LEVELS.index)

    @property
    def excluded(self) -> bool:
        """Whether it must not be trained on."""
        return any(map(excludes, self.findings))

    @property
    def reasons(self) -> list[Finding]:
        """The cause, and what excludes the row."""
        return [f for f in self.findings if f is self.first or excludes(f)]

    @property
    def also(self) -> list[str]:
        """Codes of the details that count, each once."""
        codes = dict.fromkeys(f.code for f in self.findings[1:] if f.counts)
        codes.pop(self.first.code, None)
        return list(codes)

    @property
    def says(self) -> str:
        """Message and times of the cause, on one line and not too long; codes of the details."""
        return said(self.first) + (f" (also {', '.join(self.also)})" if self.also else "")


def said(finding: Finding) -> str:
    """Message and times of a finding, on one line and not too long."""
    text = shortened(finding.message, LONGEST)
    if finding.start is None or finding.end is None:
        return text
    return f"{text} ({finding.start:.2f} to {finding.end:.2f} s)"


def locate_rows(
    report: Report, places: Locations, wanted: Callable[[Finding], bool] | None = None
) -> list[LocatedRow]:
    """All rows with findings, by file and line.

    Args:
        report: the report.
        places: where its rows stand.
        wanted: rows without any such finding are left out, and one such comes first; None: all.
    """
    by_id: dict[str, list[Finding]] = {}
    for finding in report.findings:
        by_id.setdefault(finding.id, []).append(finding)
    rows = []
    for findings in by_id.values():
        ordered = strongest_first(findings)
        if wanted is not None:
            chosen = next((f for f in ordered if wanted(f)), None)
            if chosen is None:
                continue
            ordered.remove(chosen)
            ordered.insert(0, chosen)
        rows.append(LocatedRow(places.row(ordered[0].origin), ordered))
    return sorted(rows, key=_by_place)


def heaviest_first(rows: Iterable[LocatedRow]) -> list[LocatedRow]:
    """Rows by level; in each those with the most errors first, and else by file and line."""

    def order(row: LocatedRow) -> tuple[object, ...]:
        errors = sum(level(finding) == "error" for finding in row.findings)
        return (LEVELS.index(row.level), not row.first.counts, -errors, *_by_place(row))

    return sorted(rows, key=order)


def by_cause(rows: Iterable[LocatedRow]) -> dict[Cause, list[LocatedRow]]:
    """The rows of each cause that has any, in the order of `CAUSES`."""
    groups: dict[Cause, list[LocatedRow]] = {cause: [] for cause in (*CAUSES, OTHER)}
    for row in rows:
        groups[row.cause].append(row)
    return {cause: found for cause, found in groups.items() if found}


def _by_place(row: LocatedRow) -> tuple[str, int, str]:
    return row.place.file, row.place.line or 0, row.id
