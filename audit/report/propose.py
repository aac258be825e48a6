"""What a transcript may have to be: what the aligner heard, put where it found the text wrong.

Of A005 (a word that is not said) the word goes, of A006 (something else is said) what was heard
stands in its place, of A007 (speech that the transcript lacks) what was heard there is put in.
Nobody but a person applies it: an acoustic model without a language model spells as it hears.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from asr_gate.audit.records.causes import explained
from asr_gate.audit.records.controls import LIKELY
from asr_gate.audit.records.finding import Finding
from asr_gate.corpus.text.scripts import script_names

Row = Mapping[str, Any]

PROPOSED = frozenset({"A005", "A006", "A007"})
"""Rules that say which word is wrong, and so can be answered with a text."""
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
        model writes another script, or the text holds numbers that were read out.
    """
    counting = {finding.code for finding in findings if finding.counts}
    codes = {code for code in counting & PROPOSED if not explained(code, counting)}
    spans = _spans(text, words)
    if not codes or spans is None or len(gaps) != len(words) + 1:
        return None
    spelled = _same_script(text, heard)
    if not spelled:
        codes &= {"A005"}
    near = _nearest(words, gaps, heard)
    of_words = [_word(row, near.get(("word", n), []), codes) for n, row in enumerate(words)]
    of_gaps = [_gap(row, near.get(("gap", n), []), codes) for n, row in enumerate(gaps)]
    wrong = [place for place in (*of_words, *of_gaps) if place.code]
    if not wrong:
        return None
    right = [(row, place) for row, place in zip(words, of_words, strict=True) if not place.code]
    exact = sum(_bare("".join(place.heard)) == _bare(row["word"]) for row, place in right)
    hearing = (exact + 1) / (len(right) + 2)
    confidence = 1.0
    for place in wrong:
        many = 0 if place.code == "A005" else len(place.heard)
        confidence *= place.probability * hearing**many
    new = _written(text, spans, of_words, of_gaps)
    if not new or new == " ".join(text.split()):
        return None
    return Proposal(new, confidence, tuple(sorted({str(place.code) for place in wrong})))


def _word(row: Row, heard: Sequence[str], codes: Collection[str]) -> _Place:
    if row["spoken"] < LIKELY:
        if "A005" in codes:
            return _Place("A005", 1 - row["spoken"], heard)
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
    """What was heard, by the word or the gap with speech in it that it shares most time with."""
    places = [
        *((("word", n), row) for n, row in enumerate(words) if row["spoken"] >= LIKELY),
        *((("gap", n), row) for n, row in enumerate(gaps) if row["untranscribed"] > LIKELY),
    ]
    found: dict[tuple[str, int], list[str]] = {}
    for one in heard:
        shared = [
            (min(one["end"], row["end"]) - max(one["start"], row["start"]), name)
            for name, row in places
        ]
        most, name = max(shared, key=lambda pair: pair[0], default=(0.0, None))
        if name is not None and most > 0:
            found.setdefault(name, []).append(one["word"])
    return found


def _spans(text: str, words: Sequence[Row]) -> list[tuple[int, int]] | None:
    """Where each word stands in the text; None: one of them stands for a number."""
    spans = []
    at = 0
    for row in words:
        start = text.find(row["word"], at)
        if start < 0:
            return None
        at = start + len(row["word"])
        spans.append((start, at))
    return spans


def _same_script(text: str, heard: Sequence[Row]) -> bool:
    """Whether the model writes the letters that the text is written in."""
    return script_names(row["word"] for row in heard)[:1] == script_names([text])[:1]


def _written(
    text: str,
    spans: Sequence[tuple[int, int]],
    words: Sequence[_Place],
    gaps: Sequence[_Place],
) -> str:
    """The text with every wrong place changed, punctuation and blanks as they were."""
    shout = text.isupper()
    parts: list[str] = []
    at = 0
    for (start, end), word, gap in zip(spans, words, gaps, strict=False):
        parts.append(text[at:start])
        if gap.code:
            parts.append(f" {_spelled(gap.heard, shout)} ")
        written = text[start:end]
        if word.code == "A005":  # its comma goes with it
            written = ""
            end += next((n for n, c in enumerate(text[end:]) if c.isspace() or _is_letter(c)), 0)
        elif word.code == "A006":
            written = _in_place(written, _spelled(word.heard, shout))
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
