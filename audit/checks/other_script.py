"""Rule T006, other-script: `pages/T006.md` says what it finds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from asr_gate.audit.checks.rule import Context, Rule
from asr_gate.corpus.rows import columns
from asr_gate.corpus.text.scripts import foreign_letters, scripts_of

if TYPE_CHECKING:
    from asr_gate.audit.records.judged import Judged


def _find(rows: Sequence[Judged], context: Context) -> Iterator[tuple[str, str]]:
    limits = context.policy.text
    for identity, text, lang in columns(context.corpus.utterances, "id", "text", "lang"):
        language = lang or context.language
        scripts = scripts_of(language)
        found = foreign_letters(text, scripts) if scripts else None
        if found is None:
            continue
        if (
            found.other > limits.max_other_script * found.letters
            or found.latin > limits.max_latin * found.letters
        ):
            yield (
                identity,
                f"{found.latin + found.other} of {found.letters} letters are of scripts that "
                f"'{language}' is not written in, most of them {found.script.title()}: "
                f"'{found.example[:40]}'",
            )


RULE = Rule("T006", _find, whole_corpus=True, texts_only=True)
