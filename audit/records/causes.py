"""What is wrong with a row, said once: of its findings the one that explains the others."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from asr_gate.audit.records.finding import Finding


class Cause(NamedTuple):
    """A group of rules that find the same kind of thing."""

    name: str
    """A word or two, for tables and files."""
    heading: str
    codes: tuple[str, ...]
    """The strongest explanation first."""


CAUSES: tuple[Cause, ...] = (
    Cause("unreadable", "The audio cannot be read", ("S001", "S002")),
    Cause("silent", "There is no speech in the audio", ("S003",)),
    Cause("no text", "There is no transcript", ("T001",)),
    Cause(
        "language",
        "The text is of another language or script",
        ("T006", "T010", "T005", "T007"),
    ),
    Cause("cut", "The text or the audio is cut off", ("A009",)),
    Cause("other text", "The text belongs to other audio", ("A012", "A008")),
    Cause("markup", "The text has markup or broken characters", ("T008", "T009")),
    Cause(
        "not judged",
        "Nothing can be said about the text",
        ("T002", "T004", "A010", "A004", "A011", "T003"),
    ),
    Cause(
        "mismatch",
        "The text is not what is said",
        ("A002", "A001", "A003", "D003", "A005", "A007", "A006", "D007"),
    ),
    Cause("review", "People say that the row is wrong", ("R001",)),
    Cause("leak", "The same is in another split", ("D004", "D005")),
    Cause("copy", "The row repeats another", ("D001", "D006")),
    Cause("length", "The row is too short or too long", ("D008", "D002")),
    Cause(
        "sound",
        "The recording has a fault",
        ("S004", "S008", "S005", "S006", "S009", "S007", "S010"),
    ),
    Cause("balance", "The corpus is made up or written unevenly", ("D009", "D010", "T011")),
)
"""All rules. Where nothing else decides, causes and codes that come first are the stronger ones."""

OTHER = Cause("other", "Rules that this version does not know", ())

_CAUSE_OF = {code: cause for cause in CAUSES for code in cause.codes}
_RANK = {code: rank for rank, code in enumerate(_CAUSE_OF)}
_WORDS = frozenset({"A001", "A002", "A003", "A005", "A006", "A007", "A011", "D003", "D007"})
"""What rules say of words, coverage and length."""
_EXPLAINS: Mapping[str, frozenset[str]] = {
    "S003": _WORDS | {"A008", "A009", "A010", "S009", "S010"},
    "T006": _WORDS | {"A008", "A010", "T002", "T003", "T004", "T007"},
    "T010": _WORDS | {"A008", "A010", "T004"},
    "T005": _WORDS | {"A010", "T002", "T003", "T004"},
    "A012": _WORDS | {"A008", "A009", "A010"},
    "A009": _WORDS,
    "A008": _WORDS,
    "T008": _WORDS | {"T003", "T004"},
    "T009": frozenset({"T003", "T004", "T007"}),
    "D001": frozenset({"D006"}),
    "D004": frozenset({"D001", "D005"}),
}
"""Findings that follow from another one in the same row."""

_SEVERITIES = ("error", "warning", "info")


def cause_of(code: str) -> Cause:
    """The cause that a rule speaks of."""
    return _CAUSE_OF.get(code, OTHER)


def explained(code: str, by: Iterable[str]) -> bool:
    """Whether a finding follows from one of others in the same row."""
    return any(code in _EXPLAINS.get(other, ()) for other in by)


def strongest_first(findings: Iterable[Finding]) -> list[Finding]:
    """The findings of one row: its cause first, then the details.

    Findings that count come first, then those that nothing else in the row explains, then the
    severer ones.
    """
    rows = list(findings)
    codes = {finding.code for finding in rows if finding.counts}

    def order(finding: Finding) -> tuple[object, ...]:
        return (
            not finding.counts,
            explained(finding.code, codes),
            _SEVERITIES.index(finding.severity),
            _RANK.get(finding.code, len(_RANK)),
            finding.code,
            finding.start or 0.0,
        )

    return sorted(rows, key=order)
