"""Kinds of errors."""

import random

import pytest

from asr_gate.rounds.cases.case import Operation
from asr_gate.rounds.cases.operations import operations
from asr_gate.train.evaluation.scoring import count_errors

WORDS = ["red", "green", "read", "grin", "7", "ready"]


def test_every_kind_with_its_place() -> None:
    found = operations("the night train to Leeds runs", "a the knight brain Leeds turtle", "en")
    assert found == [
        Operation("insertion", 0, "", "a"),
        Operation("near_sound", 1, "night", "knight"),
        Operation("near_spelling", 2, "train", "brain"),
        Operation("deletion", 3, "to", ""),
        Operation("substitution", 5, "runs", "turtle"),
    ]


@pytest.mark.parametrize(
    ("said", "heard", "kind"),
    [
        ("טוב", "תוב", "near_sound"),  # both letters are a t
        ("שלום", "תודה", "substitution"),
        ("слово", "слава", "near_sound"),
        ("日本", "日中", "substitution"),
        ("tea", "tee", "near_sound"),
        ("so", "sea", "substitution"),  # one consonant alone is not enough
    ],
)
def test_other_scripts(said: str, heard: str, kind: str) -> None:
    assert [one.kind for one in operations(said, heard, None)] == [kind]


def test_they_are_as_many_as_the_errors_of_the_wer() -> None:
    choose = random.Random(1)
    for _ in range(100):
        said, heard = (" ".join(choose.choices(WORDS, k=choose.randint(0, 6))) for _ in range(2))
        expected = count_errors(f"red {said}", heard, "en", "spoken").word_errors
        assert len(operations(f"red {said}", heard, "en")) == expected


def test_without_a_reference_every_word_is_too_many() -> None:
    assert [one.kind for one in operations("...", "oh yes", "en")] == ["insertion"] * 2
    assert operations("", "", None) == []
