"""Small numbers of a text, in digits and in words."""

from __future__ import annotations

import pytest

from asr_gate.corpus.text.small_numbers import small_numbers


@pytest.mark.parametrize(
    ("text", "language", "digits", "words"),
    [
        ("7 ships, seven masts and 12.", "en", {7, 12}, {7}),
        ("twenty-one and twenty one", "en", set(), {21}),
        ("one hundred and seven, two thousand, seven eight nine", "en", set(), set()),
        ("one, a 1 and 0", "en", set(), set()),
        ("7:30, 7%, $7, 7 €, 3.7, 1,007, 7th, 2024, 07, +7, 1-7, A7, 7/8", "en", set(), set()),
        ("siete y ocho", "es", set(), set()),
        ("siete barcos", "es", set(), {7}),
        ("einundzwanzig oder 21", "German", {21}, {21}),
        ("שבע בנות ושבעה בנים, שבעה", "he", set(), {7}),
        ("7 qeylIS", "Klingon", set(), set()),
    ],
)
def test_what_stands_alone(text: str, language: str, digits: set[int], words: set[int]) -> None:
    found = small_numbers(text, language)
    assert (set(found.digits), set(found.words)) == (digits, words)
