import pytest

from train.scoring import normalise, score, score_by_domain


def test_normalise_keeps_words_and_drops_punctuation() -> None:
    assert normalise("Don’t  STOP—now, 'quoted'!") == "don't stop now quoted"
    assert normalise("שָׁלוֹם, עולם.") == "שָׁלוֹם עולם"
    assert normalise("… —") == ""


def test_empty_hypotheses_count_as_deletions() -> None:
    scores = score(["one two three", "four"], ["", "four"])
    assert scores.wer == pytest.approx(3 / 4)
    assert scores.utterances == 2
    assert scores.words == 4
    assert score(["one two"], [""]).wer == 1.0
    assert score(["one two"], [""]).cer == 1.0


def test_case_and_punctuation_are_no_errors() -> None:
    assert score(["Hello, world."], ["hello world"]).wer == 0


def test_each_domain_by_itself() -> None:
    scores = score_by_domain(["a b", "c", "d"], ["a b", "x", ""], ["clean", "noisy", "noisy"])
    assert {name: one.wer for name, one in scores.items()} == {"clean": 0.0, "noisy": 1.0}
