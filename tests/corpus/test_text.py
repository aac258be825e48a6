"""Letters: every character is spelled, unknown, or counted as dropped."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr_gate.corpus.text.letters import APOSTROPHES, Transcript, spell

ENGLISH = frozenset("abcdefghijklmnopqrstuvwxyz'")
UPPER = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ'")
HEBREW = frozenset("אבגדהוזחטיכךלמםנןסעפףצץקרשת")
NO_FINALS = HEBREW - frozenset("ךםןףץ")


def spelled(transcript: Transcript) -> list[str]:
    return ["".join(letter or "*" for letter in word.letters) for word in transcript.words]


@pytest.mark.parametrize(
    ("text", "words", "unknown", "dropped"),
    [
        ("Hello, world!", ["hello", "world"], 0, 2),
        ("it's ’tis rock'n'roll", ["it's", "'tis", "rock'n'roll"], 0, 0),
        ("well-known — yes", ["well", "known", "yes"], 0, 0),
        ("café naïve Øl", ["cafe", "naive", "*l"], 1, 0),
        ("straße ﬁne", ["stra*e", "fine"], 1, 0),
        ("25 % of A&B", ["**", "*", "of", "a*b"], 4, 0),
        ("שלום world", ["****", "world"], 4, 0),
        ("¿qué? «oui»", ["que", "oui"], 0, 4),
        ("' . ' yes", ["yes"], 0, 3),
        ("", [], 0, 0),
        ("...", [], 0, 3),
    ],
)
def test_english(text: str, words: list[str], unknown: int, dropped: int) -> None:
    found = spell(text, ENGLISH)
    assert (spelled(found), found.unknown, found.dropped) == (words, unknown, dropped)


def test_the_alphabets_case_is_taken() -> None:
    assert spelled(spell("Hello Café", UPPER)) == ["HELLO", "CAFE"]


def test_hebrew_points_are_marks_and_final_letters_are_letters() -> None:
    pointed = spell("שָׁלוֹם עוֹלָם", HEBREW)
    assert spelled(pointed) == ["שלום", "עולם"]
    assert (pointed.unknown, pointed.dropped) == (0, 5)
    assert spelled(spell("בית־ספר", HEBREW)) == ["בית", "ספר"]
    gershayim = spell('צה"ל צה״ל', HEBREW)
    assert spelled(gershayim) == ["צהל", "צהל"]
    assert gershayim.dropped == 2


@pytest.mark.parametrize(
    ("text", "alphabet", "words", "dropped"),
    [
        ("aaa book noooo", ENGLISH, ["aaa", "book", "noooo"], 0),
        ("don't don’t donʼt", ENGLISH, ["don't"] * 3, 0),
        ("don't don’t", ENGLISH - {"'"}, ["dont", "dont"], 2),
        ("don't don’t", ENGLISH - {"'"} | {"’"}, ["don’t", "don’t"], 0),
        ("חם לך אין כף ארץ", HEBREW, ["חם", "לך", "אין", "כף", "ארץ"], 0),
        ("חם לך אין כף ארץ", NO_FINALS, ["חמ", "לכ", "אינ", "כפ", "ארצ"], 0),
        ("ג'ירפה ג׳ירפה צ׳ק", HEBREW, ["גירפה", "גירפה", "צק"], 3),
        ("ג'ירפה ג׳ירפה", HEBREW | {"'"}, ["ג'ירפה", "ג'ירפה"], 0),
        ("ג'ירפה ג׳ירפה", HEBREW | {"׳"}, ["ג׳ירפה", "ג׳ירפה"], 0),
        ('צה"ל צה״ל', HEBREW | {'"'}, ['צה"ל', 'צה"ל'], 0),
        ('" ״ ׳ שלום', HEBREW | {'"', "'"}, ["שלום"], 3),
        ("תל־אביב בית-ספר", HEBREW, ["תל", "אביב", "בית", "ספר"], 0),
        ("הַכֹּל בְּסֵדֶר", HEBREW, ["הכל", "בסדר"], 7),
        ("שׁלום", HEBREW, ["שלום"], 1),
        ("\u200fשלום\u200e", HEBREW, ["שלום"], 2),
    ],
)
def test_signs_inside_words(
    text: str, alphabet: frozenset[str], words: list[str], dropped: int
) -> None:
    """Nothing of this is unknown, and none of it but the dash parts a word."""
    found = spell(text, alphabet)
    assert (spelled(found), found.unknown, found.dropped) == (words, 0, dropped)


def test_numbers_are_read_out_in_the_transcripts_language() -> None:
    found = spell("In 1984, 5% left.", ENGLISH, language="en")
    assert spelled(found) == ["in", "nineteen", "eighty", "four", "five", "percent", "left"]
    assert [word.text for word in found.words][1:4] == ["nineteen", "eighty", "four,"]
    assert found.unknown == 0
    assert spelled(spell("12 Hunde", ENGLISH, language="deu")) == ["zwolf", "hunde"]
    for language in (None, "und", "mul", "xx"):
        assert spell("12", ENGLISH, language=language).unknown == 2


@given(st.text(max_size=60))
def test_no_character_vanishes(text: str) -> None:
    """Letters, digits and symbols are spelled or unknown; the rest is counted as dropped."""
    found = spell(text, ENGLISH)
    # Unicode takes one of the apostrophes for a letter; alone it is no word.
    spoken = [
        c
        for c in unicodedata.normalize("NFC", text)
        if unicodedata.category(c)[0] in "LN" and c not in APOSTROPHES
    ]
    assert found.letters >= len(spoken)
    assert found.unknown == sum(letter is None for w in found.words for letter in w.letters)
    if found.letters == 0:
        assert not spoken
