"""Rule T010, text-language: `pages/T010.md` says what it finds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from asr_gate.audit.checks.rule import Context, Rule
from asr_gate.corpus.text.identification import better_language
from asr_gate.corpus.text.scripts import foreign_letters, scripts_of

if TYPE_CHECKING:
    from asr_gate.audit.records.judged import Judged


def _find(rows: Sequence[Judged], context: Context) -> Iterator[tuple[str, str]]:
    least = context.policy.text.language_margin
    for row in context.corpus.utterances:
        language = row.lang or context.language
        scripts = scripts_of(language)
        # A text of another script has a rule of its own (T006).
        if scripts is None or foreign_letters(row.text, scripts) is not None:
            continue
        found = better_language(row.text, language)
        if found is not None and found[1] > least:
            yield (
                row.id,
                f"it reads like '{found[0]}' and not like '{language}' "
                f"({found[1]:.0f} nats, over {least:g})",
            )


RULE = Rule("T010", _find, whole_corpus=True)
