"""Rule D001, duplicate: `pages/D001.md` says what it finds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from asr_gate.audit.checks.rule import Context, Rule

if TYPE_CHECKING:
    from asr_gate.audit.records.judged import Judged


def _find(rows: Sequence[Judged], context: Context) -> Iterator[tuple[str, str]]:
    first: dict[str, str] = {}
    for identity in sorted(context.content):
        first.setdefault(context.content[identity], identity)
    for row in rows:
        if row.measured.fault is not None and row.measured.fault.code == "S001":
            continue  # audio that cannot be read is like no other
        original = first[context.content[row.id]]
        if original != row.id:
            yield row.id, f"same audio and text as {original}"


RULE = Rule("D001", _find)
