"""D010: a domain is so small that hardly anything is learned of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from asr_gate.audit.checks.imbalance import shares
from asr_gate.audit.checks.rule import Context, Rule

if TYPE_CHECKING:
    from asr_gate.audit.measured import Measured


def _find(rows: Sequence[Measured], context: Context) -> Iterator[tuple[str, str]]:
    least = context.policy.corpus.min_domain_share
    for one in shares(rows, context, lambda row: row.domain):
        if one.share < least:
            yield (
                one.row,
                f"domain '{one.label}', of this row, has {one.share:.1%} of the {one.unit}, "
                f"under {least:.1%}",
            )


RULE = Rule(
    code="D010",
    name="domain-imbalance",
    severity="info",
    summary="A domain is so small that hardly anything is learned of it.",
    mend="Add to it, draw from it more often, or look whether its name is misspelt.",
    find=_find,
)
