"""Rule T001, empty-text: `pages/T001.md` says what it finds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from asr_gate.audit.checks.rule import Context, Rule, measured
from asr_gate.corpus.rows import columns
from asr_gate.corpus.text.letters import is_spoken

if TYPE_CHECKING:
    from asr_gate.audit.records.judged import Judged


def _find(rows: Sequence[Judged], context: Context) -> Iterator[tuple[str, str]]:
    sampled = {row.id: row.fault for row in measured(rows)}
    for identity, text in columns(context.corpus.utterances, "id", "text"):
        if identity in sampled:
            fault = sampled[identity]
            if fault is not None and fault.code == "T001":
                yield identity, fault.reason
        elif not any(map(is_spoken, text)):
            yield identity, "the transcript has no letters"


RULE = Rule("T001", _find, whole_corpus=True)
