"""Words that stand in a row and are said in the one before or after it.

Two accidents do this. Where segment boundaries are off, the first words of a row are said at the
end of the row before, or its last ones at the beginning of the next. Where two lines ran into one,
a row has its own text and that of its neighbour, which the neighbour has as well.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from itertools import takewhile

from rapidfuzz.distance import Indel

from asr_gate.audit.pairing.patterns import FEW
from asr_gate.audit.pairing.places import Places, pattern
from asr_gate.audit.records.alignment import AlignedWord
from asr_gate.audit.records.measured import Measured
from asr_gate.audit.records.pairing import End, MovedWords, Pattern
from asr_gate.corpus.text.similar import bare

FEWEST_LETTERS = 8
"""Letters of words that are looked for in a neighbour; fewer are there by chance."""
ALIKE = 0.6
"""Similarity, 0 to 1, of words and of what is heard in their place. What a weak model hears of a
right text has some 0.6 (a letter error rate of 0.46), other texts have 0.4."""
ENDS: tuple[tuple[End, int], ...] = (("first", -1), ("last", 1))
"""Of a row, and where the neighbour stands."""
UNSAID = 0.6
"""Share of the words of a neighbour's text that are not said, for it to have run into this one."""


def find_moved(
    rows: Sequence[Measured], astray: Collection[str], places: Places
) -> list[MovedWords]:
    """The words that stand in the wrong one of two neighbours, in the order of the corpus.

    Args:
        rows: that were heard.
        astray: rows that have the text of another one altogether.
        places: of the rows of the corpus.
    """
    heard = {places.of[row.id]: row for row in rows if row.words and row.id not in astray}
    found = []
    for at, row in sorted(heard.items()):
        # What is not written as it was aligned cannot be cut by words.
        if row.text.split() != [word.text for word in row.words]:
            continue
        for end, step in ENDS:
            beside = at + step
            if not places.neighbours(at, beside):
                continue
            words = row.words[::-step]
            many = _run_in(words, places.rows[beside].text.split()[::-step])
            to = None
            if not many and beside in heard:
                many = _said_beside(words, _beyond(heard[beside], step), step)
                to = places.id(beside)
            if 0 < many < len(words):
                moved = [word.text for word in words[:many]][::-step]
                found.append(MovedWords(id=row.id, end=end, words=" ".join(moved), to=to))
    return found


def patterns_of(moved: Sequence[MovedWords], places: Places) -> Iterator[Pattern]:
    """One pattern for each manifest, accident and end."""
    groups: dict[tuple[str, bool, str], list[MovedWords]] = defaultdict(list)
    for one in moved:
        groups[places.manifest(places.of[one.id]), one.to is None, one.end].append(one)
    for (_, run_in, end), group in sorted(groups.items()):
        if len(group) < FEW:
            continue
        first, last = group[0].id, group[-1].id
        beside = "before" if end == "first" else "after"
        if run_in:
            what = (
                f"{len(group)} rows from {first} to {last} have the text of the row {beside} them "
                "beside their own"
            )
        else:
            where = "end" if end == "first" else "beginning"
            what = (
                f"segment boundaries are off from {first} to {last}: the {end} words of "
                f"{len(group)} rows are said at the {where} of the row {beside}"
            )
        members = [places.of[one.id] for one in group]
        yield pattern("run_in" if run_in else "boundaries", members, what, places)


def _run_in(words: Sequence[AlignedWord], other: Sequence[str]) -> int:
    """How many words of a row, from an end on, are its neighbour's whole text and are not said."""
    own = [word.text for word in words[: len(other)]]
    text = bare(" ".join(other))
    if len(text) < FEWEST_LETTERS or len(other) >= len(words) or bare(" ".join(own)) != text:
        return 0
    unsaid = sum(not word.kept for word in words[: len(other)])
    return len(other) if unsaid >= UNSAID * len(other) else 0


def _said_beside(words: Sequence[AlignedWord], beyond: str, step: int) -> int:
    """How many words of a row, from an end on, are not said in it and are heard beside it."""
    unsaid = sum(1 for _ in takewhile(lambda word: not word.kept, words))
    if not unsaid or len(bare(beyond)) < FEWEST_LETTERS:
        return 0
    best, most = 0, ALIKE
    # The path may keep a word too much, or leave one out too much.
    for many in range(max(1, unsaid - 1), min(unsaid + 1, len(words) - 1) + 1):
        text = bare(" ".join([word.text for word in words[:many]][::-step]))
        alike = Indel.normalized_similarity(text, bare(beyond))
        if len(text) >= FEWEST_LETTERS and alike >= most:
            best, most = many, alike
    return best


def _beyond(row: Measured, step: int) -> str:
    """What is heard in a row after its last word that is said, or before its first one."""
    kept = [word for word in row.words if word.kept]
    if not kept:
        return ""
    if step < 0:
        return " ".join(word.text for word in row.heard if word.start >= kept[-1].end)
    return " ".join(word.text for word in row.heard if word.end <= kept[0].start)
