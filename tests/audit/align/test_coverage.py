"""Coverage: the smaller of what is said of the text and what is transcribed of the speech."""

from __future__ import annotations

import pytest

from asr_gate.audit.align.coverage import coverage
from asr_gate.audit.records.alignment import Alignment
from tests.audit.align.synthetic import MODEL, align_text, aligned, said, says


def all_of(found: Alignment) -> tuple[tuple[float, float], ...]:
    """Speech activity from the first frame to the last."""
    return ((found.gaps[0].start, found.gaps[-1].end),)


def test_a_right_transcript_covers_all() -> None:
    found = aligned(said("cat sat"), "cat sat")
    full = coverage(found.words, found.unaligned, all_of(found))
    assert (full.text, full.speech, full.coverage) == (1, 1, 1)
    assert full.confidence == pytest.approx(1, abs=1e-6)


def test_text_that_is_not_said_counts_by_its_letters() -> None:
    found = aligned(said("cat sat"), "cat umbrella sat")
    half = coverage(found.words, found.unaligned, all_of(found))
    assert half.text == pytest.approx(6 / 14)
    assert half.coverage == half.text < half.speech


def test_speech_that_nobody_claims_counts_by_its_seconds() -> None:
    found = aligned(said("the green bird sat down"), "the bird sat down")
    (start, end) = found.unaligned[0]
    (begin, stop) = all_of(found)[0]
    part = coverage(found.words, found.unaligned, all_of(found))
    assert part.text == 1
    assert part.coverage == part.speech == pytest.approx(1 - (end - start) / (stop - begin))


def test_only_speech_can_be_unclaimed() -> None:
    found = aligned(said("cat sat"), "cat sat")
    activity = ((0.0, 1.0), (2.0, 3.0))
    assert coverage(found.words, ((1.0, 2.0), (5.0, 9.0)), activity).speech == 1
    assert coverage(found.words, ((0.5, 2.25),), activity).speech == pytest.approx(1 - 0.75 / 2)
    assert coverage(found.words, ((0.0, 3.0),), activity).speech == 0


def test_nothing_is_covered_where_nothing_is_kept() -> None:
    found = aligned(said("the dog ran"), "my blue umbrella")
    none = coverage(found.words, found.unaligned, all_of(found))
    assert (none.text, none.speech, none.coverage, none.confidence) == (0, 0, 0, 0)


def test_without_speech_no_speech_is_covered() -> None:
    found = aligned(said("cat sat"), "cat sat")
    silent = coverage(found.words, (), ())
    assert (silent.text, silent.speech, silent.coverage) == (1, 0, 0)


def test_wildcards_prove_nothing() -> None:
    found = aligned("-t-h-e- -x-y- -r-a-n-", "cat 12 sat")
    kept = [(w.text, w.kept) for w in found.words]
    assert ("cat", False) in kept and ("sat", False) in kept
    assert coverage(found.words, found.unaligned, all_of(found)).coverage == 0
    right = aligned("-c-a-t- -x-y- -s-a-t-", "cat 12 sat")
    assert coverage(right.words, right.unaligned, all_of(right)).text == 1


def test_confidence_is_the_mean_over_the_letters_of_kept_words() -> None:
    emission = says(said("cat sat"))
    emission[emission.argmax(axis=1) == MODEL.tokens.index("c")] = says("k", 0.6)[0]
    found = align_text(emission, "cat sat")
    assert isinstance(found, Alignment)
    # One letter of six has (1 - 0.6) / 28 where another has 0.6.
    expected = ((0.4 / 28) / 0.6) ** (1 / 6)
    unsure = coverage(found.words, found.unaligned, all_of(found))
    assert unsure.confidence == pytest.approx(expected, rel=1e-3)
