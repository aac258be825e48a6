"""Rule D006, repeated-text: `pages/D006.md` says what it finds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from asr_gate.audit.checks.rule import Context, Rule
from asr_gate.audit.checks.splits import split
from asr_gate.corpus.rows import columns
from asr_gate.corpus.streamed import some
from asr_gate.corpus.utterance import Utterance

if TYPE_CHECKING:
    from asr_gate.audit.records.judged import Judged


def _find(rows: Sequence[Judged], context: Context) -> Iterator[tuple[str, str]]:
    if all(speaker is None for (speaker,) in columns(context.corpus.utterances, "speaker")):
        return
    written = [one for one in context.written if one.judged]
    content = some(context.content, (one.row.id for one in written))
    first: dict[tuple[str, str, str], Utterance] = {}
    for one in written:
        row = one.row
        if one.group is None or row.speaker is None:
            continue
        original = first.setdefault((one.group, row.speaker, split(row)), row)
        # The very same audio has a rule of its own (D001).
        if original is row:
            continue
        if content.get(original.id) != content.get(row.id, row.id):
            yield row.id, f"'{row.speaker}' says nearly the same in {original.id}"


RULE = Rule("D006", _find, whole_corpus=True)
