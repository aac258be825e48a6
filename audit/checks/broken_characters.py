"""T009: characters that were lost, misread, or cannot be seen."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from asr_gate.audit.checks.rule import Context, Rule
from asr_gate.corpus.text.markup import broken_characters

if TYPE_CHECKING:
    from asr_gate.audit.measured import Measured


def _find(rows: Sequence[Measured], context: Context) -> Iterator[tuple[str, str]]:
    for row in context.corpus.utterances:
        found = broken_characters(row.text)
        if found is not None:
            character, what = found
            yield row.id, f"{what}: {character}"


RULE = Rule(
    code="T009",
    name="broken-characters",
    severity="warning",
    summary="Characters that were lost, read in a wrong encoding, or cannot be seen.",
    mend="Read the source in its own encoding (UTF-8), and remove what cannot be seen.",
    find=_find,
)
