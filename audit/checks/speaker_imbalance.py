"""Rule D009, speaker-imbalance: `pages/D009.md` says what it finds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from asr_gate.audit.checks.imbalance import shares
from asr_gate.audit.checks.rule import Context, Rule

if TYPE_CHECKING:
    from asr_gate.audit.records.judged import Judged


def _find(rows: Sequence[Judged], context: Context) -> Iterator[tuple[str, str]]:
    most = context.policy.corpus.max_speaker_share
    for one in shares(rows, context, "speaker"):
        if one.share > most:
            yield (
                one.row,
                f"speaker '{one.label}', of this row, has {one.share:.0%} of the {one.unit} that "
                f"name a speaker, over {most:.0%}",
            )


RULE = Rule("D009", _find)
