"""Rule D008, model-limits: `pages/D008.md` says what it finds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from asr_gate.audit.checks.rule import Context, Rule

if TYPE_CHECKING:
    from asr_gate.audit.records.judged import Judged


def _find(rows: Sequence[Judged], context: Context) -> Iterator[tuple[str, str]]:
    limits = context.policy.model_limits
    decoded = {row.id: row.measured.duration for row in rows}
    for row in context.corpus.utterances:
        seconds = decoded.get(row.id) or row.duration or 0.0
        if seconds > limits.max_seconds:
            yield row.id, f"{seconds:.2f} s long, over {limits.max_seconds:g} s"
        elif len(row.text) > limits.max_characters:
            yield row.id, f"{len(row.text)} characters, over {limits.max_characters}"


RULE = Rule("D008", _find, whole_corpus=True)
