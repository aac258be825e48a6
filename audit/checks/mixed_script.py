"""Rule T007, mixed-script: `pages/T007.md` says what it finds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from asr_gate.audit.checks.rule import Context, Rule
from asr_gate.corpus.rows import columns
from asr_gate.corpus.text.scripts import mixed_words

if TYPE_CHECKING:
    from asr_gate.audit.records.judged import Judged


def _find(rows: Sequence[Judged], context: Context) -> Iterator[tuple[str, str]]:
    for identity, text in columns(context.corpus.utterances, "id", "text"):
        words = mixed_words(text)
        if words:
            more = f" (and {len(words) - 1} more)" if len(words) > 1 else ""
            yield identity, f"'{words[0][:40]}' has letters of two alphabets{more}"


RULE = Rule("T007", _find, whole_corpus=True, texts_only=True)
