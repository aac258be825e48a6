"""Rule T011, mixed-numbers: `pages/T011.md` says what it finds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING

from asr_gate.audit.checks.rule import Context, Rule
from asr_gate.corpus.rows import columns
from asr_gate.corpus.text.language import primary_code
from asr_gate.corpus.text.small_numbers import SmallNumbers, small_numbers

if TYPE_CHECKING:
    from asr_gate.audit.records.judged import Judged

LEAST_VALUES = 2
"""Values that are written in both ways. A single one may be another word (Italian `sei`, six)."""


class _Written:
    """The values that rows of one language write in digits, and those that they write in words."""

    def __init__(self) -> None:
        self.digits: set[int] = set()
        self.words: set[int] = set()


def _find(rows: Sequence[Judged], context: Context) -> Iterator[tuple[str, str]]:
    code = cache(lambda language: primary_code(language) or language)
    languages: dict[str, _Written] = {}
    for _, language, found in _numbers(context):
        if found.digits or found.words:
            written = languages.setdefault(code(language), _Written())
            written.digits.update(found.digits)
            written.words.update(found.words)
    for one, written in languages.items():
        both = written.digits & written.words
        if len(both) < LEAST_VALUES:
            continue
        # Gone through again, since of a large corpus not even these rows fit into memory.
        counts = {"digits": 0, "words": 0}
        for _, way, _ in _ways(context, one, both, code):
            counts[way] += 1
        rare, usual = sorted(counts, key=counts.__getitem__)
        for identity, way, text in _ways(context, one, both, code):
            if way == rare:
                yield (
                    identity,
                    f"'{text}' is in {rare}; {counts[usual]} rows write such numbers in {usual}",
                )


def _numbers(context: Context) -> Iterator[tuple[str, str, SmallNumbers]]:
    """Id, language and numbers of each row."""
    for identity, text, lang in columns(context.corpus.utterances, "id", "text", "lang"):
        language = lang or context.language
        yield identity, language, small_numbers(text, language)


def _ways(
    context: Context, code: str, values: set[int], code_of: Callable[[str], str]
) -> Iterator[tuple[str, str, str]]:
    """The rows of a language that write one of some values: id, way, and as it is written; a row
    that writes them in both ways comes twice.
    """
    for identity, language, found in _numbers(context):
        if code_of(language) == code:
            for way, written in (("digits", found.digits), ("words", found.words)):
                if text := _first(written, values):
                    yield identity, way, text


def _first(written: Mapping[int, str], values: set[int]) -> str | None:
    return next((text for value, text in written.items() if value in values), None)


RULE = Rule("T011", _find, texts_only=True)
