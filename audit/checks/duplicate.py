"""Rule D001, duplicate: `pages/D001.md` says what it finds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from asr_gate.audit.checks.rule import Context, Rule, measured
from asr_gate.audit.checks.splits import Splits
from asr_gate.corpus.dealt import repeated
from asr_gate.corpus.rows import with_ids
from asr_gate.corpus.utterance import Utterance

if TYPE_CHECKING:
    from asr_gate.audit.records.judged import Judged


def _find(rows: Sequence[Judged], context: Context) -> Iterator[tuple[str, str]]:
    # Audio that cannot be read is like no other.
    broken = {row.id for row in measured(rows) if row.fault and row.fault.code == "S001"}
    again = repeated(digest for _, digest in context.content.items())
    content = {
        identity: digest
        for identity, digest in context.content.items()
        if hash(digest) in again and identity not in broken
    }
    copies: dict[str, list[Utterance]] = {}
    for row in with_ids(context.corpus.utterances, content).values():
        copies.setdefault(content[row.id], []).append(row)
    splits = Splits(context.corpus)
    for same in copies.values():
        staying = splits.staying(same)
        for row in same:
            if row is not staying:
                yield row.id, f"same audio and text as {staying.id}"


RULE = Rule("D001", _find, whole_corpus=True)
