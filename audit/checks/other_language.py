"""Rule T005, other-language: `pages/T005.md` says what it finds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache, partial
from typing import TYPE_CHECKING

from asr_gate.audit.checks.rule import Context, Rule
from asr_gate.corpus.rows import columns
from asr_gate.corpus.text.language import same_language

if TYPE_CHECKING:
    from asr_gate.audit.records.judged import Judged


def _find(rows: Sequence[Judged], context: Context) -> Iterator[tuple[str, str]]:
    same = cache(partial(same_language, context.language))
    for identity, lang in columns(context.corpus.utterances, "id", "lang"):
        if lang is not None and not same(lang):
            yield (
                identity,
                f"the row says '{lang}', the acoustic model is for '{context.language}'",
            )


RULE = Rule("T005", _find, whole_corpus=True, texts_only=True)
