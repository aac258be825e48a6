"""Codes and names of languages are compared by what they mean."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr_gate.corpus.errors import UserError
from asr_gate.corpus.text.language import closest_code, require_language, same_language


@pytest.mark.parametrize(
    "names",
    [
        ["es", "spa", "es-419", "Spanish", "Castilian"],
        ["pl", "pol", "PL"],
        ["sv", "swe", "sv-FI"],
        ["pt", "por", "pt-BR", "pt_PT", " Portuguese "],
        ["de", "deu", "ger", "German", "german"],
        ["he", "heb", "iw", "Hebrew"],
        ["id", "in", "ind"],
        ["yi", "ji", "yid"],
        ["zh", "zho", "cmn", "zh-Hant", "Chinese"],
        ["no", "nb", "nor"],
        ["fil", "tl", "Filipino"],
        ["x-none", "X-None"],
    ],
)
def test_names_of_one_language(names: list[str]) -> None:
    assert all(same_language(one, other) for one in names for other in names)


def test_languages_that_differ() -> None:
    names = ["es", "pt", "fi", "fil", "no", "nn", "sv", "zh", "yue", "hr", "sr", "x-none", "xx", ""]
    assert not any(same_language(one, other) for one in names for other in names if one != other)
    for name in names:
        assert same_language(name, "mul")
        assert same_language("und", name)


@given(st.text(max_size=12), st.text(max_size=12))
@settings(max_examples=200, deadline=None)
def test_anything_can_be_compared(one: str, other: str) -> None:
    assert same_language(one, one)
    assert same_language(one, other) == same_language(other, one)


def test_the_closest_of_some_codes() -> None:
    assert closest_code("nb", frozenset({"no", "da"})) == "no"
    assert closest_code("nb", frozenset({"no", "nb"})) == "nb"
    assert closest_code("ca", frozenset({"es", "fr"})) is None
    assert closest_code("no such language", frozenset({"es"})) is None


def test_what_is_no_language_is_refused() -> None:
    for name in ("he", "pt-BR", "Hebrew", "mul"):
        require_language(name, "--language")
    for name in ("xx", "nonsense", "", "he-", "\x00", "x-none"):
        with pytest.raises(UserError) as caught:
            require_language(name, "--language")
        assert str(caught.value).startswith(f"--language {name}: ")
