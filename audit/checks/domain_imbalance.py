"""Rule D010, domain-imbalance: `pages/D010.md` says what it finds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from asr_gate.audit.checks.imbalance import shares
from asr_gate.audit.checks.rule import Context, Rule

if TYPE_CHECKING:
    from asr_gate.audit.records.judged import Judged


def _find(rows: Sequence[Judged], context: Context) -> Iterator[tuple[str, str]]:
    least = context.policy.corpus.min_domain_share
    for one in shares(rows, context, "domain"):
        if one.share < least:
            yield (
                one.row,
                f"domain '{one.label}', of this row, has {one.share:.1%} of the {one.unit}, "
                f"under {least:.1%}",
            )


RULE = Rule("D010", _find)
