"""D006: a speaker says the same long text more than once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from asr_gate.audit.checks.rule import Context, Rule
from asr_gate.audit.checks.splits import split
from asr_gate.corpus.utterance import Utterance

if TYPE_CHECKING:
    from asr_gate.audit.measured import Measured


def _find(rows: Sequence[Measured], context: Context) -> Iterator[tuple[str, str]]:
    if all(row.speaker is None for row in context.corpus.utterances):
        return
    first: dict[tuple[str, str, str], Utterance] = {}
    for one in context.written[: len(context.corpus.utterances)]:
        row = one.row
        if one.group is None or row.speaker is None:
            continue
        original = first.setdefault((one.group, row.speaker, split(row)), row)
        # The very same audio has a rule of its own (D001).
        if context.content[original.id] != context.content[row.id]:
            yield row.id, f"'{row.speaker}' says nearly the same in {original.id}"


RULE = Rule(
    code="D006",
    name="repeated-text",
    severity="info",
    summary="A speaker says the same long text more than once.",
    mend="Keep the best recording, unless the speaker was meant to say it often.",
    find=_find,
)
