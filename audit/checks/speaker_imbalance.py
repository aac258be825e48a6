"""D009: one speaker has most of the corpus."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from asr_gate.audit.checks.imbalance import shares
from asr_gate.audit.checks.rule import Context, Rule

if TYPE_CHECKING:
    from asr_gate.audit.measured import Measured


def _find(rows: Sequence[Measured], context: Context) -> Iterator[tuple[str, str]]:
    most = context.policy.corpus.max_speaker_share
    for one in shares(rows, context, lambda row: row.speaker):
        if one.share > most:
            yield (
                one.row,
                f"speaker '{one.label}', of this row, has {one.share:.0%} of the {one.unit} that "
                f"name a speaker, over {most:.0%}",
            )


RULE = Rule(
    code="D009",
    name="speaker-imbalance",
    severity="info",
    summary="One speaker has most of the corpus.",
    mend="Add other speakers, or draw from this one less often.",
    find=_find,
)
