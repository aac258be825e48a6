"""Times: a model's delay is found on the data and taken out."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from asr_gate.audit.align.times import MIN_LETTERS, Delay, lag_profile, measure_delay, sound_times
from asr_gate.audit.records.alignment import AlignedWord, Alignment, Gap

WORD = AlignedWord("cat", 3, 0.0, 0.0, True, True, 0.9, -5.0, -5.0, masked=False)


def word(start: float, end: float, kept: bool = True) -> AlignedWord:
    return replace(WORD, start=start, end=end, placed=kept, kept=kept)


def gaps(count: int, *separators: float | None) -> list[Gap]:
    middle = separators or (None,) * (count - 2)
    return [Gap(0.0, 0.0, at, -5.0) for at in (None, *middle, None)]


def spoken(delay: float, seed: int, words: int = 12) -> tuple[Alignment, np.ndarray]:
    """Words that are loud, with dips of the level between them, heard late by so much."""
    random = np.random.default_rng(seed)
    level = np.full(50, -60.0)
    letters: list[float] = []
    spaces: list[float] = []
    for _ in range(words):
        count = random.integers(2, 8)
        length = random.uniform(0.06, 0.1)
        start = len(level) * 0.01
        letters += [start + (n + 0.5) * length for n in range(count)]
        pause = random.uniform(0.06, 0.3)
        spaces.append(start + count * length + pause / 2)
        level = np.append(level, np.full(round(count * length * 100), -15.0))
        level = np.append(level, np.full(round(pause * 100), -60.0))
    level = np.append(level, np.full(50, -60.0)) + random.normal(0, 3, len(level) + 50)
    alignment = Alignment(
        words=(),
        gaps=(),
        unaligned=(),
        letter_times=tuple(time + delay for time in letters),
        separator_times=tuple(time + delay for time in spaces),
        loss=0.0,
    )
    return alignment, level


@pytest.mark.parametrize("delay", [-0.1, 0.0, 0.04, 0.24, 0.5])
def test_the_delay_is_found_on_the_data(delay: float) -> None:
    profiles = [lag_profile(*spoken(delay, seed)).tolist() for seed in range(12)]
    found = measure_delay(profiles, [], stated=0.33)
    assert found.measured
    assert found.delay == pytest.approx(delay, abs=0.011)


def test_too_few_letters_leave_what_the_maker_says() -> None:
    profile = lag_profile(*spoken(0.24, 0)).tolist()
    assert profile[-1] < MIN_LETTERS
    assert measure_delay([profile], [], stated=0.33) == Delay(0.33, 0.0, False)
    assert measure_delay([], [], stated=0.33) == Delay(0.33, 0.0, False)


def test_a_level_without_contrast_says_nothing() -> None:
    alignment, level = spoken(0.1, 0)
    assert not lag_profile(alignment, np.full_like(level, -20.0)).any()


def test_half_a_letter_is_half_the_time_between_words_that_are_joined() -> None:
    words = [word(0.0, 0.2), word(0.26, 0.4), word(0.48, 0.6), word(1.5, 1.7)]
    assert measure_delay([], [words], 0.0).half_letter == pytest.approx((0.06 + 0.08) / 2 / 2)
    unkept = [word(0.0, 0.2), word(0.2, 0.3, kept=False), word(0.3, 0.5)]
    assert measure_delay([], [unkept], 0.0).half_letter == 0


def test_the_delay_and_half_a_letter_are_taken_out() -> None:
    words, between = sound_times([word(0.5, 0.7)], gaps(2), [], Delay(0.2, 0.03, True), 1.0)
    assert words[0] == pytest.approx((0.27, 0.53))
    assert between == [
        pytest.approx((0.0, 0.27)),
        pytest.approx((0.53, 1.0)),
    ]


def test_joined_words_share_a_boundary() -> None:
    heard = [word(0.5, 0.7), word(0.8, 1.0)]
    words, between = sound_times(heard, gaps(3, 0.76), [], Delay(0.1, 0.02, True), 2.0)
    # First letter of the second, by half: 0.68; last of the first: 0.62; the separator: 0.66.
    boundary = 0.68 / 2 + 0.62 / 4 + 0.66 / 4
    assert words[0][1] == words[1][0] == pytest.approx(boundary)
    assert between[1] == pytest.approx((boundary, boundary))
    words, _ = sound_times(heard, gaps(3), [], Delay(0.1, 0.02, True), 2.0)
    assert words[0][1] == words[1][0] == pytest.approx(0.68 / 2 + 0.62 / 2)


def test_a_word_after_a_pause_begins_where_sound_begins() -> None:
    heard = [word(0.5, 0.7), word(1.5, 1.8)]
    sound = [(0.42, 0.8), (1.3, 1.9)]
    words, _ = sound_times(heard, gaps(3, 0.9), sound, Delay(0.0, 0.0, True), 2.0)
    assert words[0][0] == pytest.approx(0.42)
    assert words[1][0] == 1.5, "0.2 s are too far"
    assert [end for _, end in words] == [0.7, 1.8]
    words, _ = sound_times(heard, gaps(3, 0.9), [(0.42, 1.9)], Delay(0.0, 0.0, True), 2.0)
    assert words[0][1] == words[1][0] == pytest.approx(1.5 / 2 + 0.7 / 4 + 0.9 / 4), "no pause"
    other = [replace(gap, insertion=20.0) for gap in gaps(3, 0.9)]
    words, between = sound_times(heard, other, [(0.42, 1.9)], Delay(0.0, 0.0, True), 2.0)
    assert between[1] == (0.7, 1.5), "speech that the text lacks"


def test_words_lie_in_the_recording() -> None:
    heard = [word(0.05, 0.1), word(0.12, 0.14), word(0.9, 1.0)]
    words, between = sound_times(heard, gaps(4), [], Delay(0.3, 0.05, True), 0.5)
    for start, end in (*words, *between):
        assert 0 <= start <= end <= 0.5


def test_a_word_that_is_not_kept_lies_between_its_neighbours() -> None:
    heard = [word(0.4, 0.6), word(0.6, 1.2, kept=False), word(1.2, 1.5)]
    words, between = sound_times(heard, gaps(4), [], Delay(0.1, 0.02, True), 2.0)
    assert words[1] == pytest.approx((0.5, 1.1))
    assert between[1] == between[2]
    assert between[1][0] == words[0][1]
    assert between[2][1] == words[2][0]


def test_a_late_onset_leaves_words_in_order() -> None:
    heard = [word(0.5, 0.52), word(0.6, 0.8)]
    words, _ = sound_times(heard, gaps(3), [(0.62, 0.9)], Delay(0.0, 0.0, True), 1.0)
    assert words[0][0] <= words[0][1] <= words[1][0] <= words[1][1]


def test_words_beside_one_that_is_not_kept_do_not_overlap() -> None:
    heard = [word(0.2, 0.5), word(0.5, 0.52, kept=False), word(0.52, 0.8)]
    words, between = sound_times(heard, gaps(4), [], Delay(0.0, 0.05, True), 1.0)
    assert words[0][1] <= words[2][0]
    assert all(start <= end for start, end in between)


def test_random_words_stay_in_order() -> None:
    random = np.random.default_rng(0)
    for _ in range(100):
        edges = np.sort(random.uniform(0, 5, 12)).reshape(-1, 2)
        heard = [word(float(a), float(b), bool(random.random() < 0.8)) for a, b in edges]
        sound = [(float(a), float(b)) for a, b in np.sort(random.uniform(0, 5, 6)).reshape(-1, 2)]
        delay = Delay(float(random.uniform(-0.1, 0.4)), float(random.uniform(0, 0.1)), True)
        words, between = sound_times(heard, gaps(7), sound, delay, 4.5)
        kept = [times for times, w in zip(words, heard, strict=True) if w.kept]
        for start, end in (*words, *between):
            assert 0 <= start <= end <= 4.5
        for one, other in pairwise(kept):
            assert one[0] <= other[0]
            assert one[1] <= other[0]
