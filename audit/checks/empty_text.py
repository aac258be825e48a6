"""Rule T001, empty-text: `pages/T001.md` says what it finds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from asr_gate.audit.checks.rule import Context, Rule, measured
from asr_gate.corpus.text.letters import is_spoken

if TYPE_CHECKING:
    from asr_gate.audit.records.judged import Judged


def _find(rows: Sequence[Judged], context: Context) -> Iterator[tuple[str, str]]:
    sampled = {row.id: row.fault for row in measured(rows)}
    for row in context.corpus.utterances:
        fault = sampled.get(row.id)
        if fault is not None and fault.code == "T001":
            yield row.id, fault.reason
        elif row.id not in sampled and not any(map(is_spoken, row.text)):
            yield row.id, "the transcript has no letters"


RULE = Rule("T001", _find, whole_corpus=True)
