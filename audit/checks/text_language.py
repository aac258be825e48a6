"""Rule T010, text-language: `pages/T010.md` says what it finds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING

from asr_gate.audit.checks.rule import Context, Rule
from asr_gate.corpus.rows import columns
from asr_gate.corpus.text.identification import better_language, may_fit_better
from asr_gate.corpus.text.scripts import foreign_letters, scripts_of

if TYPE_CHECKING:
    from asr_gate.audit.records.judged import Judged


AT_ONCE = 16_384
"""Rows whose texts are looked over together."""


def _find(rows: Sequence[Judged], context: Context) -> Iterator[tuple[str, str]]:
    least = context.policy.text.language_margin
    every = columns(context.corpus.utterances, "id", "text", "lang")
    while some := list(islice(every, AT_ONCE)):
        of_language: dict[str, list[int]] = {}
        for place, (_, _, lang) in enumerate(some):
            of_language.setdefault(lang or context.language, []).append(place)
        doubtful = [
            (members[at], language)
            for language, members in of_language.items()
            if scripts_of(language) is not None
            for at in may_fit_better([some[place][1] for place in members], language, least)
        ]
        for place, language in sorted(doubtful):
            identity, text, _ = some[place]
            # A text of another script has a rule of its own (T006).
            if foreign_letters(text, scripts_of(language) or ()) is not None:
                continue
            found = better_language(text, language)
            if found is not None and found[1] > least:
                yield (
                    identity,
                    f"it reads like '{found[0]}' and not like '{language}' "
                    f"({found[1]:.0f} nats, over {least:g})",
                )


RULE = Rule("T010", _find, whole_corpus=True, texts_only=True)
