"""Texts that went astray so that no row of the corpus has the right ones."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence

from asr_gate.audit.pairing.patterns import FEW
from asr_gate.audit.pairing.places import Places, pattern
from asr_gate.audit.records.measured import Measured
from asr_gate.audit.records.pairing import Partner, Pattern, SearchedFile
from asr_gate.corpus.text.similar import bare

LETTERS = 10
"""Of a text at least: shorter ones are rightly said by many."""
NEARLY_ALL = 0.8
"""Share of the rows with one text that say something else, for it to be no phrase that many say."""


def given_to_many(
    rows: Sequence[Measured], wrong: Collection[str], places: Places
) -> Iterator[Pattern]:
    """One text that stands in many rows, of which nearly all say something else.

    Args:
        rows: that were heard.
        wrong: those whose own text is not said.
        places: of the rows of the corpus.
    """
    same: dict[str, list[int]] = defaultdict(list)
    for row in rows:
        if len(text := bare(row.text)) >= LETTERS:
            same[text].append(places.of[row.id])
    for members in sorted(map(sorted, same.values())):
        away = [at for at in members if places.id(at) in wrong]
        if len(away) < max(FEW, NEARLY_ALL * len(members)):
            continue
        first, last = places.id(members[0]), places.id(members[-1])
        sentence = (
            f"{len(members)} rows from {first} to {last} have one text, and {len(away)} of them "
            "say something else"
        )
        yield pattern("repeated", members, sentence, places)


def in_other_files(
    partners: Mapping[str, Partner], files: Sequence[SearchedFile], places: Places
) -> Iterator[Pattern]:
    """Rows whose text stands in a file beside the corpus."""
    for file in files:
        members = sorted(
            places.of[identity]
            for identity, partner in partners.items()
            if partner.rows[0].rpartition(":")[0] == file.file and partner.rows[0] not in places.of
        )
        if len(members) >= FEW:
            sentence = (
                f"{len(members)} rows from {places.id(members[0])} to {places.id(members[-1])} say "
                f"texts of {file.file} that no row of the corpus has"
            )
            yield pattern("elsewhere", members, sentence, places)
