"""Which language a text is in."""

from __future__ import annotations

import pytest

from asr_gate.corpus.text.identification import better_language, likely_language
from tests.speech import EXAMPLE

GERMAN = "Gestern Abend sind wir lange am Fluss spazieren gegangen"


def test_the_bundled_sentences_are_english() -> None:
    texts = (EXAMPLE / "sentences.txt").read_text(encoding="utf-8").splitlines()
    assert len(texts) > 300
    found = (better_language(text, "en") for text in texts)
    assert [one for one in found if one is not None and one[1] > 20] == []


@pytest.mark.parametrize("language", ["en", "en-GB", "eng", "English", "es", "nl"])
def test_another_language_is_named(language: str) -> None:
    found = better_language(GERMAN, language)
    assert found is not None
    assert found[0] == "de"
    assert found[1] > 20


@pytest.mark.parametrize("language", ["de", "deu", "German", "de-AT", "und", "tlh", ""])
def test_its_own_language_and_unknown_ones_say_nothing(language: str) -> None:
    assert better_language(GERMAN, language) is None


def test_points_do_not_make_hebrew_another_language() -> None:
    pointed = "וַיֹּאמֶר אֱלֹהִים יְהִי רָקִיעַ בְּתוֹךְ הַמָּיִם וִיהִי מַבְדִּיל בֵּין מַיִם לָמָיִם"
    assert better_language(pointed, "he") is None
    assert likely_language(pointed) == "he"


@pytest.mark.parametrize("text", ["", "guten Tag", "12345 67890 12345 67890", "?" * 100])
def test_short_texts_say_nothing(text: str) -> None:
    assert better_language(text, "en") is None
