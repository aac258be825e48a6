"""Rule D006, repeated-text: `pages/D006.md` says what it finds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from asr_gate.audit.checks.rule import Context, Rule
from asr_gate.audit.checks.splits import split
from asr_gate.corpus.utterance import Utterance

if TYPE_CHECKING:
    from asr_gate.audit.records.judged import Judged


def _find(rows: Sequence[Judged], context: Context) -> Iterator[tuple[str, str]]:
    if all(row.speaker is None for row in context.corpus.utterances):
        return
    first: dict[tuple[str, str, str], Utterance] = {}
    for one in context.written[: len(context.corpus.utterances)]:
        row = one.row
        if one.group is None or row.speaker is None:
            continue
        original = first.setdefault((one.group, row.speaker, split(row)), row)
        # The very same audio has a rule of its own (D001).
        if original is row:
            continue
        if context.content.get(original.id) != context.content.get(row.id, row.id):
            yield row.id, f"'{row.speaker}' says nearly the same in {original.id}"


RULE = Rule("D006", _find, whole_corpus=True)
