"""Rule D008, model-limits: `pages/D008.md` says what it finds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from asr_gate.audit.checks.rule import Context, Rule
from asr_gate.corpus.rows import columns

if TYPE_CHECKING:
    from asr_gate.audit.records.judged import Judged


def _find(rows: Sequence[Judged], context: Context) -> Iterator[tuple[str, str]]:
    limits = context.policy.model_limits
    decoded = {row.id: row.measured.duration for row in rows}
    for identity, text, duration in columns(context.corpus.utterances, "id", "text", "duration"):
        seconds = decoded.get(identity) or duration or 0.0
        if seconds > limits.max_seconds:
            yield identity, f"{seconds:.2f} s long, over {limits.max_seconds:g} s"
        elif len(text) > limits.max_characters:
            yield identity, f"{len(text)} characters, over {limits.max_characters}"


RULE = Rule("D008", _find, whole_corpus=True)
