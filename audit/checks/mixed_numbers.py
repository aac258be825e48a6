"""Rule T011, mixed-numbers: `pages/T011.md` says what it finds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from asr_gate.audit.checks.rule import Context, Rule
from asr_gate.corpus.text.language import primary_code
from asr_gate.corpus.text.small_numbers import SmallNumbers, small_numbers

if TYPE_CHECKING:
    from asr_gate.audit.records.judged import Judged

LEAST_VALUES = 2
"""Values that are written in both ways. A single one may be another word (Italian `sei`, six)."""


def _find(rows: Sequence[Judged], context: Context) -> Iterator[tuple[str, str]]:
    languages: dict[str, dict[str, SmallNumbers]] = {}
    for row in context.corpus.utterances:
        language = row.lang or context.language
        found = small_numbers(row.text, language)
        if found.digits or found.words:
            languages.setdefault(primary_code(language) or language, {})[row.id] = found
    for holding in languages.values():
        yield from _rarer(holding)


def _rarer(holding: dict[str, SmallNumbers]) -> Iterator[tuple[str, str]]:
    """The rows of one language that write a number in the rarer of two ways."""
    in_digits = {value for found in holding.values() for value in found.digits}
    both = in_digits & {value for found in holding.values() for value in found.words}
    if len(both) < LEAST_VALUES:
        return
    ways = {
        "digits": {i: w for i, f in holding.items() if (w := _first(f.digits, both))},
        "words": {i: w for i, f in holding.items() if (w := _first(f.words, both))},
    }
    rare, usual = sorted(ways, key=lambda way: len(ways[way]))
    for identity, written in ways[rare].items():
        yield (
            identity,
            f"'{written}' is in {rare}; {len(ways[usual])} rows write such numbers in {usual}",
        )


def _first(written: Mapping[int, str], values: set[int]) -> str | None:
    return next((text for value, text in written.items() if value in values), None)


RULE = Rule("T011", _find)
