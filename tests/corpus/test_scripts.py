"""Scripts of languages, foreign letters, words of two alphabets."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr_gate.corpus.text.language import NAMES, primary_code
from asr_gate.corpus.text.scripts import (
    LOOKALIKES,
    SCRIPTS,
    foreign_letters,
    mixed_words,
    scripts_of,
)


@pytest.mark.parametrize(
    ("language", "scripts"),
    [
        ("he", ("Hebr",)),
        ("iw-IL", ("Hebr",)),
        ("heb", ("Hebr",)),
        (" Hebrew ", ("Hebr",)),
        ("en_US", ("Latn",)),
        ("sr", ("Cyrl", "Latn")),
        ("sr-Latn", ("Latn",)),
        ("sr-Latn-RS", ("Latn",)),
        ("zh-Hant", ("Hani", "Bopo")),
        ("ja", ("Hani", "Hira", "Kana")),
        ("und", None),
        ("mul", None),
        ("", None),
        ("ase", None),
        ("no such language", None),
        ("kmr", ("Arab", "Latn")),
    ],
)
def test_languages_have_scripts(language: str, scripts: tuple[str, ...] | None) -> None:
    assert scripts_of(language) == scripts


def test_every_language_of_the_trainer_has_a_script() -> None:
    for code, name in NAMES.items():
        assert scripts_of(code) is not None
        assert scripts_of(name) == scripts_of(code)


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", "Plain text, naïve café № 5 — ª µ ʼ ½ ™ 😀 ！"),
        ("he", "שָׁלוֹם עולם, 25 ש״ח"),
        ("ar", "مرحبا ٣ بالعالم ـ"),
        ("fa", "نمی‌خواهم"),
        ("hi", "नमस्ते दुनिया।"),
        ("ja", "今日はコーヒーを飲む々ー"),
        ("zh", "你好，世界"),
        ("ko", "안녕하세요 漢字"),
        ("ru", "Ёжик и́дёт"),
        ("el", "Καλημέρα ὦ"),
        ("vi", "Xin chào thế giới Đ"),
        ("ka", "გამარჯობა"),
        ("am", "ሰላም"),
        ("th", "สวัสดี"),
        ("yi", "ייִדיש"),
    ],
)
def test_a_language_s_own_letters_are_not_foreign(language: str, text: str) -> None:
    scripts = scripts_of(language)
    assert scripts is not None
    assert foreign_letters(text, scripts) is None
    assert mixed_words(text) == []


def test_foreign_letters_are_counted_and_named() -> None:
    found = foreign_letters("שלום hello привет", ("Hebr",))
    assert found is not None
    assert (found.letters, found.latin, found.other) == (15, 5, 6)
    assert (found.script, found.example) == ("CYRILLIC", "hello")
    full_width = foreign_letters("ＡＢＣ", ("Hebr",))
    assert full_width is not None
    assert (full_width.latin, full_width.other) == (3, 0)


@pytest.mark.parametrize("language", ["en", "he", "ja", "ru", "sr"])
@given(text=st.text(max_size=80))
def test_no_text_is_too_strange_to_count(language: str, text: str) -> None:
    scripts = scripts_of(language)
    assert scripts is not None
    found = foreign_letters(text, scripts)
    if found is not None:
        assert 0 < found.latin + found.other <= found.letters
        assert found.example in text
    assert all(word in text for word in mixed_words(text))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("pаypal and paypal", ["pаypal"]),  # Cyrillic а
        ("вода и водa", ["водa"]),  # Latin a
        ("Αthens", ["Αthens"]),  # Greek Α
        ("שלוםم", ["שלוםم"]),
        ("SMSка и IT-отдел", []),
        ("ב-API ובWhatsApp", []),
        ("NF-κB, 5 kΩ, 3 μM", []),
        ("日本ごカナ漢字", []),
        ("naïve café Ünïcode", []),
    ],
)
def test_words_of_two_alphabets(text: str, words: list[str]) -> None:
    assert mixed_words(text) == words


@given(st.text(alphabet="abcdefghijklmnopqrstuvwxyz", min_size=3, max_size=12), st.data())
def test_one_lookalike_letter_is_found_in_any_word(word: str, data: st.DataObject) -> None:
    drawn = {latin: other for other, latin in LOOKALIKES.items() if latin.islower()}
    places = [place for place, letter in enumerate(word) if letter in drawn]
    if not places:
        return
    place = data.draw(st.sampled_from(places))
    wrong = word[:place] + drawn[word[place]] + word[place + 1 :]
    assert mixed_words(wrong) == [wrong]
    assert mixed_words(word) == []


def test_scripts_are_known_by_the_shortest_code() -> None:
    assert {primary_code(code) for code in SCRIPTS} == {*SCRIPTS}
