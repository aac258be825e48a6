"""D001: the same audio with the same text stands in the corpus more than once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from asr_gate.audit.checks.rule import Context, Rule

if TYPE_CHECKING:
    from asr_gate.audit.measured import Measured


def _find(rows: Sequence[Measured], context: Context) -> Iterator[tuple[str, str]]:
    first: dict[str, str] = {}
    for identity in sorted(context.content):
        first.setdefault(context.content[identity], identity)
    for row in rows:
        if row.fault is not None and row.fault.code == "S001":
            continue  # audio that cannot be read is like no other
        original = first[context.content[row.id]]
        if original != row.id:
            yield row.id, f"same audio and text as {original}"


RULE = Rule(
    code="D001",
    name="duplicate",
    severity="warning",
    summary="The same audio with the same text stands in the corpus more than once.",
    mend="Keep one of them.",
    find=_find,
)
