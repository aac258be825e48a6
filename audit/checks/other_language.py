"""T005: the row names another language than the acoustic model's."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from asr_gate.audit.checks.rule import Context, Rule
from asr_gate.corpus.text.language import same_language

if TYPE_CHECKING:
    from asr_gate.audit.measured import Measured


def _find(rows: Sequence[Measured], context: Context) -> Iterator[tuple[str, str]]:
    for row in rows:
        if row.lang is not None and not same_language(row.lang, context.language):
            yield (
                row.id,
                f"the row says '{row.lang}', the acoustic model is for '{context.language}'",
            )


RULE = Rule(
    code="T005",
    name="other-language",
    severity="warning",
    summary="The row names another language than the acoustic model's.",
    mend="Audit each language with an aligner of its own.",
    find=_find,
)
