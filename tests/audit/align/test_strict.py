"""Strict alignment on emissions whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest

from audit.acoustic.interface import Emission, ModelInfo
from audit.align import Alignment, Unalignable
from audit.align.coverage import coverage
from audit.align.strict import align
from corpus.text.letters import spell

TOKENS = ("-", " ", *"abcdefghijklmnopqrstuvwxyz'")
ALPHABET = frozenset(TOKENS[2:])
MODEL = ModelInfo("m", "r", "0", "en", TOKENS, 0, 1, 0.02, 16000, 0.0)


def says(frames: str, sure: float = 0.99) -> Emission:
    """An emission that hears one token a frame, as written."""
    rest = (1 - sure) / (len(TOKENS) - 1)
    emission = np.full((len(frames), len(TOKENS)), rest)
    emission[np.arange(len(frames)), [TOKENS.index(c) for c in frames]] = sure
    return np.log(emission).astype(np.float32)


def aligned(frames: str, text: str, model: ModelInfo = MODEL) -> Alignment:
    found = align(says(frames), spell(text, ALPHABET), model, 0.3)
    assert isinstance(found, Alignment)
    return found


def test_words_lie_where_they_are_heard() -> None:
    words = aligned("--c-aa-t- --s-a-t---", "cat sat").words
    assert [(w.text, round(w.start, 2), round(w.end, 2)) for w in words] == [
        ("cat", 0.04, 0.16),
        ("sat", 0.24, 0.34),
    ]
    assert all(w.kept and w.confidence > 0.95 for w in words)


def test_repeated_letters_need_a_blank_between() -> None:
    assert [w.kept for w in aligned("-b-o-o-k-", "book").words] == [True]
    assert isinstance(align(says("book"), spell("book", ALPHABET), MODEL, 0.3), Unalignable)


def test_a_word_that_is_not_said_is_not_kept() -> None:
    words = aligned("--c-a-t--- --s-a-t----", "cat bird sat").words
    assert [w.kept for w in words] == [True, False, True]


def test_nothing_of_another_text_is_kept() -> None:
    words = aligned("-t-h-e- -d-o-g- -r-a-n-", "my blue umbrella").words
    assert not any(w.kept for w in words)


def test_the_delay_is_taken_out() -> None:
    from dataclasses import replace

    late = aligned("-----c-a-t--", "cat", replace(MODEL, delay=0.06)).words[0]
    assert late.start == pytest.approx(0.04)
    early = aligned("c-a-t--", "cat", replace(MODEL, delay=0.06)).words[0]
    assert early.start == 0


def test_unknown_characters_stand_in_as_wildcards() -> None:
    found = aligned("-c-a-t- -x-y- -s-a-t-", "cat 12 sat")
    assert [w.kept for w in found.words] == [True, True, True]
    assert found.words[1].start == pytest.approx(0.18)
    assert [w.letters for w in found.words] == [3, 0, 3]
    wrong = aligned("-t-h-e- -x-y- -r-a-n-", "cat 12 sat").words
    assert coverage(wrong, np.ones(42, bool)).coverage == 0, "wildcards prove nothing"


def test_what_cannot_be_aligned_says_why() -> None:
    for text, code in [("", "T001"), ("...", "T001"), ("שלום", "T002"), ("far too long", "A002")]:
        found = align(says("-c-a-t-"), spell(text, ALPHABET), MODEL, 0.3)
        assert isinstance(found, Unalignable)
        assert found.code == code


def test_what_is_too_long_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("audit.align.strict.MAX_CELLS", 100)
    found = align(says("--c-a-t- -s-a-t--"), spell("cat sat", ALPHABET), MODEL, 0.3)
    assert isinstance(found, Unalignable)
    assert found.code == "A004"


def test_a_model_without_a_separator() -> None:
    from dataclasses import replace

    model = replace(MODEL, tokens=("-", *TOKENS[2:]), space=None)
    emission = np.delete(says("--c-a-t---s-a-t--"), 1, axis=1)
    found = align(emission, spell("cat sat", ALPHABET), model, 0.3)
    assert isinstance(found, Alignment)
    assert [round(w.start, 2) for w in found.words] == [0.04, 0.2]


def test_coverage_is_the_smaller_share() -> None:
    all_said = aligned("--c-a-t- -s-a-t--", "cat sat").words
    silence, speech = np.zeros(100, bool), np.ones(34, bool)
    full = coverage(all_said, np.concatenate([speech, silence]))
    assert (full.text, full.speech, full.coverage) == (1, 1, 1)
    more_speech = coverage(all_said, np.ones(334, bool))
    assert more_speech.text == 1
    assert more_speech.coverage == more_speech.speech < 0.35
    half = coverage(aligned("--c-a-t- -s-a-t--", "cat dog").words, speech)
    assert half.text == 0.5
    none = coverage(aligned("-t-h-e- -d-o-g- -r-a-n-", "my blue umbrella").words, speech)
    assert (none.coverage, none.confidence) == (0, 0)
    assert coverage(all_said, silence).speech == 0


def test_confidence_is_the_mean_of_kept_words() -> None:
    sure = coverage(aligned("--c-a-t- -s-a-t--", "cat sat").words, np.ones(34, bool))
    assert sure.confidence == pytest.approx(1, abs=1e-6)
    frames = says("--c-a-t- -s-a-t--")
    frames[frames.argmax(axis=1) == TOKENS.index("c")] = says("k", 0.6)[0]
    found = align(frames, spell("cat sat", ALPHABET), MODEL, 0.01)
    assert isinstance(found, Alignment)
    # One letter of six has (1 - 0.6) / 28 where another has 0.6.
    expected = ((0.4 / 28) / 0.6) ** (1 / 6)
    unsure = coverage(found.words, np.ones(34, bool))
    assert unsure.confidence == pytest.approx(expected, rel=1e-3)
