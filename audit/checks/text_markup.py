"""Rule T008, text-markup: `pages/T008.md` says what it finds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from asr_gate.audit.checks.rule import Context, Rule
from asr_gate.corpus.rows import columns
from asr_gate.corpus.text.markup import markup

if TYPE_CHECKING:
    from asr_gate.audit.records.judged import Judged


def _find(rows: Sequence[Judged], context: Context) -> Iterator[tuple[str, str]]:
    for identity, text in columns(context.corpus.utterances, "id", "text"):
        found = markup(text)
        if found is not None:
            kind, written = found
            yield identity, f"{kind} '{written[:60]}'"


RULE = Rule("T008", _find, whole_corpus=True, texts_only=True)
