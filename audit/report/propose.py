"""What a transcript may have to be: what the aligner heard, put where it found the text wrong.

Of A005 (a word that is not said) and A006 (something else is said) what was heard there stands in
the word's place, or nothing; of A007 (speech that the transcript lacks) what was heard is put in.
Nobody but a person applies it: an acoustic model without a language model spells as it hears.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any

from asr_gate.audit.records.causes import explained
from asr_gate.audit.records.controls import LIKELY
from asr_gate.audit.records.finding import Finding
from asr_gate.corpus.text.scripts import script_names

Row = Mapping[str, Any]

PROPOSED = frozenset({"A005", "A006", "A007"})
"""Rules that say which word is wrong, and so can be answered with a text."""
MOST_WORDS = 1000
"""Of a text that is answered."""
_END = ".?!…。؟"


@dataclass(frozen=True, slots=True)
class Proposal:
    """A text for a row, and how sure it is."""

    text: str
    confidence: float
    """0 to 1: that every change is one (the findings' probabilities) and that what was heard is
    spelled right (the share of the row's other words that were heard as they are written)."""
    codes: tuple[str, ...]
    """Rules that it answers."""


@dataclass(frozen=True, slots=True)
class _Place:
    """A word of the transcript, or the gap before one, with what was heard there."""

    code: str | None
    """What is wrong with it; None: nothing."""
    probability: float
    """That this is so."""
    heard: Sequence[str]


def propose(
    text: str,
    words: Sequence[Row],
    gaps: Sequence[Row],
    heard: Sequence[Row],
    findings: Sequence[Finding],
) -> Proposal | None:
    """A text for one utterance.

    Args:
        text: its transcript.
        words: its rows of `words.parquet`, in order.
        gaps: its rows of `gaps.parquet`, in order.
        heard: its rows of `heard.parquet`, in order.
        findings: all that was found in it.

    Returns:
        None: nothing is to be changed, something else is wrong with the row that explains it, the
        model writes another script, or what is wrong is a word that is said for a number.
    """
    counting = {finding.code for finding in findings if finding.counts}
    codes = frozenset(code for code in counting & PROPOSED if not explained(code, counting))
    if not codes or len(gaps) != len(words) + 1 or len(words) > MOST_WORDS:
        return None
    spans = _spans(text, words)
    spelled = _same_script(text, heard)
    if not spelled:
        codes &= {"A005"}
    near = _nearest(words, gaps, heard)
    # What stands nowhere in the text cannot be changed there.
    placed = [codes if span else frozenset() for span in spans]
    of_words = [
        _word(row, near.get(("word", n), []), placed[n], spelled) for n, row in enumerate(words)
    ]
    of_gaps = [
        _gap(row, near.get(("gap", n), []), within)
        for n, (row, within) in enumerate(zip(gaps, [*placed, codes], strict=True))
    ]
    wrong = [place for place in (*of_words, *of_gaps) if place.code]
    if not wrong:
        return None
    right = [(row, place) for row, place in zip(words, of_words, strict=True) if not place.code]
    exact = sum(_bare("".join(place.heard)) == _bare(row["word"]) for row, place in right)
    hearing = (exact + 1) / (len(right) + 2)
    confidence = 1.0
    for place in wrong:
        confidence *= place.probability * hearing ** len(place.heard)
    new = _written(text, spans, of_words, of_gaps)
    if not new or new == " ".join(text.split()):
        return None
    return Proposal(new, confidence, tuple(sorted({str(place.code) for place in wrong})))


def _word(row: Row, heard: Sequence[str], codes: Collection[str], spelled: bool) -> _Place:
    if row["spoken"] < LIKELY:
        if "A005" in codes:
            return _Place("A005", 1 - row["spoken"], heard if spelled else ())
    elif row["replaced"] > LIKELY and "A006" in codes and heard:
        return _Place("A006", row["replaced"], heard)
    return _Place(None, 1.0, heard)


def _gap(row: Row, heard: Sequence[str], codes: Collection[str]) -> _Place:
    if row["untranscribed"] > LIKELY and "A007" in codes and heard:
        return _Place("A007", row["untranscribed"], heard)
    return _Place(None, 1.0, heard)


def _nearest(
    words: Sequence[Row], gaps: Sequence[Row], heard: Sequence[Row]
) -> dict[tuple[str, int], list[str]]:
    """What was heard, by the word or the gap with speech in it that it belongs to.

    That is the one that it shares most time with; of words that it shares any with, first the one
    that it is.
    """
    places = [
        *((("word", n), row) for n, row in enumerate(words)),
        *((("gap", n), row) for n, row in enumerate(gaps) if row["untranscribed"] > LIKELY),
    ]
    found: dict[tuple[str, int], list[str]] = {}
    for one in heard:
        said = _bare(one["word"])
        shared = [
            (said == _bare(row.get("word", "")), time, name)
            for name, row in places
            if (time := min(one["end"], row["end"]) - max(one["start"], row["start"])) > 0
        ]
        if shared:
            found.setdefault(max(shared)[2], []).append(one["word"])
    return found


def _spans(text: str, words: Sequence[Row]) -> list[tuple[int, int] | None]:
    """Where each word stands in the text; None: it does not, as one that is said for a number."""
    apart = "".join(" " if unicodedata.category(c) == "Pd" else c for c in text)
    tokens = list(re.finditer(r"\S+", apart))
    spans: list[tuple[int, int] | None] = [None] * len(words)
    written, aligned = [token[0] for token in tokens], [row["word"] for row in words]
    matcher = SequenceMatcher(None, written, aligned, autojunk=False)
    for at, word, size in matcher.get_matching_blocks():
        for n in range(size):
            spans[word + n] = tokens[at + n].span()
    return spans


def _same_script(text: str, heard: Sequence[Row]) -> bool:
    """Whether the model writes the letters that the text is written in."""
    return script_names(row["word"] for row in heard)[:1] == script_names([text])[:1]


def _written(
    text: str,
    spans: Sequence[tuple[int, int] | None],
    words: Sequence[_Place],
    gaps: Sequence[_Place],
) -> str:
    """The text with every wrong place changed, punctuation and blanks as they were."""
    shout = text.isupper()
    parts: list[str] = []
    at = 0
    for span, word, gap in zip(spans, words, gaps, strict=False):
        if span is None:
            continue
        start, end = span
        parts.append(text[at:start])
        if gap.code:
            parts.append(f" {_spelled(gap.heard, shout)} ")
        written = text[start:end]
        if word.code:
            written = _in_place(written, _spelled(word.heard, shout)) if word.heard else ""
        parts.append(written)
        at = end
    parts.append(text[at:])
    if gaps[-1].code:
        parts = ["".join(parts).rstrip().rstrip(_END), f" {_spelled(gaps[-1].heard, shout)}"]
    new = " ".join("".join(parts).split())
    # The sentence begins and ends as it did.
    if text[:1].isupper():
        new = new[:1].upper() + new[1:]
    last = text.rstrip()[-1:]
    return new if not new or last not in _END or new[-1] in _END else new.rstrip(",;: ") + last


def _spelled(heard: Sequence[str], shout: bool) -> str:
    said = " ".join(heard)
    return said.upper() if shout else said.lower()


def _in_place(written: str, said: str) -> str:
    """What was heard with the punctuation around the word that it replaces, and its capital."""
    bare = written.strip("".join(c for c in written if not _is_letter(c)))
    before, _, after = written.partition(bare) if bare else ("", "", "")
    return before + (said.capitalize() if bare.istitle() else said) + after


def _bare(word: str) -> str:
    return "".join(c for c in unicodedata.normalize("NFKD", word) if _is_letter(c)).casefold()


def _is_letter(character: str) -> bool:
    return unicodedata.category(character)[0] in "LN"
