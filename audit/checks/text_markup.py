"""T008: markup, labels or tokens in the transcript."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from asr_gate.audit.checks.rule import Context, Rule
from asr_gate.corpus.text.markup import markup

if TYPE_CHECKING:
    from asr_gate.audit.measured import Measured


def _find(rows: Sequence[Measured], context: Context) -> Iterator[tuple[str, str]]:
    for row in context.corpus.utterances:
        found = markup(row.text)
        if found is not None:
            kind, text = found
            yield row.id, f"{kind} '{text[:60]}'"


RULE = Rule(
    code="T008",
    name="text-markup",
    severity="warning",
    summary="Markup, labels or tokens stand in the transcript, which nobody says.",
    mend="Take them out, or drop the row where they stand for words.",
    find=_find,
)
