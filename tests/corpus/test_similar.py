"""Texts that are alike."""

from __future__ import annotations

import random
import time

from hypothesis import given
from hypothesis import strategies as st

from asr_gate.corpus.text.similar import bare, groups, keys_of, with_company
from tests.speech import EXAMPLE

SENTENCES = [
    bare(line)
    for line in (EXAMPLE / "sentences.txt").read_text(encoding="utf-8").splitlines()
    if len(line) > 50
]


def test_case_and_punctuation_do_not_count() -> None:
    assert bare("  “Hello,  World!” — 5 %\n") == "hello world 5"
    assert bare("שלום, עולם!") == "שלום עולם"
    assert bare("ＡＢＣ Straße") == "abc strasse"
    assert bare("…") == ""


def test_sentences_that_differ_are_apart() -> None:
    assert len(SENTENCES) > 60
    assert groups(SENTENCES, least=0.8) == {text: text for text in SENTENCES}


def test_a_word_more_or_less_is_alike_and_half_a_sentence_is_not() -> None:
    draw = random.Random(0)
    changed = {}
    for text in SENTENCES:
        words = text.split()
        words.insert(draw.randrange(len(words)), "so")
        changed[text] = " ".join(words)
    found = groups([*SENTENCES, *changed.values()], least=0.7)
    alike = sum(found[new] == text for text, new in changed.items())
    assert alike > 0.98 * len(changed)
    halves = [" ".join(t.split()[: len(t.split()) // 2]) for t in SENTENCES]
    found = groups([*SENTENCES, *halves], least=0.8)
    assert all(found[half] == half for half in halves)


def test_scripts_without_spaces() -> None:
    text = "昨日の夜は友達と一緒に新しい映画を見に行きました"
    assert groups([text, text.replace("昨日", "先週")], least=0.7) == {
        text: text,
        text.replace("昨日", "先週"): text,
    }


def test_thousands_of_variants_of_one_sentence_take_no_longer() -> None:
    draw = random.Random(0)
    words = sorted({word for text in SENTENCES for word in text.split()})
    texts = [
        f"your {' '.join(draw.choices(words, k=5))} account is settled thank you for calling us"
        for _ in range(3000)
    ]
    start = time.perf_counter()
    groups(texts, least=0.8)
    assert time.perf_counter() - start < 20


@given(st.lists(st.text(alphabet="abc ", max_size=30), max_size=12))
def test_every_text_has_a_group_and_equal_ones_the_same(texts: list[str]) -> None:
    found = groups(texts, least=0.8)
    assert set(found) == set(texts)
    assert all(found[first] == first for first in found.values())
    assert groups(texts, least=0.8) == found
    assert groups([], least=0.8) == {}


def test_only_texts_that_share_something_have_company() -> None:
    texts = [*SENTENCES, SENTENCES[3], SENTENCES[5] + " again"]
    keys, sketches = keys_of(texts)
    parts = [(keys[:7], sketches[:7]), (keys[7:], sketches[7:])]
    found = with_company(parts, 0.7, most=100).nonzero()[0].tolist()
    assert found == with_company(parts, 0.7).nonzero()[0].tolist()
    assert {3, 5, len(texts) - 2, len(texts) - 1} <= set(found)
    assert len(found) < len(texts) / 2
    assert with_company([], 0.7).tolist() == []
