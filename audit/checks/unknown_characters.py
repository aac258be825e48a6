"""Rule T003, unknown-characters: `pages/T003.md` says what it finds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from asr_gate.audit.checks.rule import Context, Rule, measured
from asr_gate.corpus.text.markup import markup

if TYPE_CHECKING:
    from asr_gate.audit.records.judged import Judged


def _find(rows: Sequence[Judged], context: Context) -> Iterator[tuple[str, str]]:
    # The characters of markup are not spoken; it has a rule of its own.
    told_apart = context.policy.rules["T008"] != "off"
    for row in measured(rows):
        if told_apart and markup(row.text) is not None:
            continue
        if row.fault is None and row.unknown:
            yield (
                row.id,
                f"{row.unknown} of {row.letters} characters are outside the model's alphabet "
                "and were aligned to a wildcard",
            )


RULE = Rule("T003", _find)
