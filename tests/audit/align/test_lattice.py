"""The alignment lattice: beside other aligners, beside all its paths, and on known emissions."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from itertools import pairwise
from typing import NamedTuple

import numba
import numpy as np
import pytest
import torch
import torchaudio
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numba.core import caching

from asr_gate.audit.acoustic.interface import Emission, ModelInfo
from asr_gate.audit.align import align, kernels, lattice, passes, prepare, text_loss
from asr_gate.audit.align.evidence import LEAST
from asr_gate.audit.align.passes import PENALTIES, solve_single_edit, solve_unconstrained
from asr_gate.audit.align.problem import UNWRITTEN, Problem
from asr_gate.audit.controls.calibrate import USUAL
from asr_gate.audit.records.alignment import Alignment, Unalignable
from asr_gate.corpus.compiled import compiled
from asr_gate.corpus.speech.activity import spans
from asr_gate.corpus.text.letters import spell
from tests.audit.align.grammar import Penalties, best_of, score_of
from tests.audit.align.synthetic import (
    JOINED,
    MODEL,
    align_text,
    aligned,
    log_softmax,
    problem_of,
    random_emission,
    said,
    says,
    transcript,
)
from tests.speech import ROOT

SMALL = replace(MODEL, tokens=("-", " ", "a", "b", "c"))
SMALL_JOINED = replace(MODEL, tokens=("-", "a", "b", "c"), space=None)
WORD = st.text("abc", min_size=1, max_size=4)


class Case(NamedTuple):
    """One random problem."""

    model: ModelInfo
    words: tuple[str, ...]
    emission: Emission

    @property
    def problem(self) -> Problem:
        return problem_of(self.emission, self.model, *self.words)

    @property
    def targets(self) -> list[int]:
        """The transcript as columns of the emission."""
        separator = "" if self.model.space is None else " "
        return [self.model.tokens.index(c) for c in separator.join(self.words)]

    def labels(self, states: np.ndarray) -> list[int]:
        """States without arcs as columns of the emission."""
        targets = self.targets
        return [targets[s // 2] if s % 2 else self.model.blank for s in states.tolist()]


@st.composite
def cases(
    draw: st.DrawFn, *, most_words: int = 4, most_frames: int = 40, unknown: bool = False
) -> Case:
    """Words of few letters, so that repeats are common, on normal logits."""
    model = draw(st.sampled_from([SMALL, SMALL_JOINED]))
    word = st.text("abc?", min_size=1, max_size=4) if unknown else WORD
    words = tuple(draw(st.lists(word, min_size=1, max_size=most_words)))
    separator = "" if model.space is None else " "
    text = separator.join(words)
    needed = len(text) + sum(a == b for a, b in pairwise(text))
    frames = draw(st.integers(needed, max(needed, most_frames)))
    seed = draw(st.integers(0, 2**32 - 1))
    scale = draw(st.sampled_from([0.5, 2.0, 8.0]))
    return Case(model, words, random_emission(frames, len(model.tokens), seed, scale))


def total(case: Case, labels: list[int]) -> float:
    """Log-probability of one path, summed without rounding."""
    at = np.arange(len(labels)), labels
    return float(case.emission.astype(np.float64)[at].sum())


def same_path(case: Case, ours: np.ndarray, theirs: list[int], score: float) -> None:
    """The same path, or one that is as good but for rounding; and the score is the path's."""
    greedy = float(case.emission.max(axis=1).astype(np.float64).sum())
    best = total(case, theirs)
    assert score + greedy == pytest.approx(best, abs=1e-3)
    labels = case.labels(ours)
    if labels != theirs:
        assert total(case, labels) == pytest.approx(best, abs=1e-4)


@given(cases())
@settings(max_examples=300, deadline=None)
def test_without_arcs_it_is_torchaudios_aligner(case: Case) -> None:
    single = solve_single_edit(case.problem)
    path, scores = torchaudio.functional.forced_align(
        torch.from_numpy(case.emission)[None], torch.tensor([case.targets]), blank=0
    )
    same_path(case, single.path.states, path[0].tolist(), single.score)
    greedy = float(case.emission.max(axis=1).sum())
    assert single.score + greedy == pytest.approx(float(scores.sum()), abs=1e-3)


@given(cases())
@settings(max_examples=200, deadline=None)
def test_without_arcs_it_is_ctc_forced_aligners(case: Case) -> None:
    pytest.importorskip("ctc_forced_aligner", reason="ctc-forced-aligner is not installed")
    from ctc_forced_aligner.ctc_aligner import align_sequences

    # It ends the process where a text needs all frames, and strays from the best path near that.
    assume(2 * case.problem.needed < len(case.emission))
    single = solve_single_edit(case.problem)
    paths, _ = align_sequences(
        case.emission[None], np.array([case.targets], np.int64), case.model.blank
    )
    same_path(case, single.path.states, paths[0].tolist(), single.score)


@given(cases(unknown=True))
@settings(max_examples=150, deadline=None)
def test_texts_of_others_cost_what_the_strict_pass_says(case: Case) -> None:
    prepared = prepare(case.emission, case.model)
    loss = text_loss(prepared, transcript(*case.words), case.model)
    single = solve_single_edit(case.problem)
    assert loss == pytest.approx(-single.score / sum(map(len, case.words)), abs=1e-4)


def near(found: np.ndarray, expected: np.ndarray) -> None:
    """Equal but for rounding; where no path is, none is found."""
    np.testing.assert_array_equal(np.isneginf(found), np.isneginf(expected))
    np.testing.assert_allclose(found, expected, atol=1e-3, rtol=1e-5)


STRICT = Penalties(0.0, 0.0, 0.0, 0.0)
FREE = Penalties(PENALTIES.skip, PENALTIES.replace, PENALTIES.enter, PENALTIES.onset)


@given(
    st.sampled_from([SMALL, SMALL_JOINED]),
    st.lists(st.text("ab?", min_size=1, max_size=2), min_size=1, max_size=2),
    st.integers(1, 5),
    st.integers(0, 2**32 - 1),
    st.sampled_from([0.5, 4.0, 12.0]),
)
@settings(max_examples=150, deadline=None)
def test_both_passes_find_the_best_of_all_paths(
    model: ModelInfo, words: list[str], frames: int, seed: int, scale: float
) -> None:
    p = problem_of(random_emission(frames, len(model.tokens), seed, scale), model, *words)
    single, unconstrained = solve_single_edit(p), solve_unconstrained(p, 1.0)
    score, best = best_of(p, STRICT, 1)
    near(np.array(single.score), np.array(score))
    near(single.best, best)
    score, best = best_of(p, FREE, None)
    near(np.array(unconstrained.score), np.array(score))
    near(unconstrained.best, best)


def test_three_words_find_the_best_of_all_paths() -> None:
    """Several words in a row left out, also beside speech and at both edges."""
    for seed in range(6):
        p = problem_of(random_emission(4, 4, seed, 8.0), SMALL_JOINED, "a", "b", "ab")
        unconstrained = solve_unconstrained(p, 1.0)
        score, best = best_of(p, FREE, None)
        near(np.array(unconstrained.score), np.array(score))
        near(unconstrained.best, best)


@given(cases(unknown=True), st.sampled_from([1.0, 3.0]))
@settings(max_examples=200, deadline=None)
def test_every_path_says_a_word_or_does_not(case: Case, temperature: float) -> None:
    p = case.problem
    unconstrained, single = solve_unconstrained(p, temperature), solve_single_edit(p)
    np.testing.assert_allclose(
        unconstrained.best[:, :-1].max(axis=0), unconstrained.score, atol=1e-3
    )
    last = unconstrained.best[[kernels.KEEP, kernels.INSERT], -1]
    assert last.max() == pytest.approx(unconstrained.score, abs=1e-3)
    np.testing.assert_allclose(single.best[kernels.KEEP], single.score, atol=1e-3)


@given(cases(unknown=True), st.sampled_from([1.0, 3.0]), st.booleans())
@settings(max_examples=300, deadline=None)
def test_the_path_has_the_score(case: Case, temperature: float, whole: bool) -> None:
    """Of whole numbers many sums are the same, and so are the scores of many paths."""
    if whole:
        case = case._replace(emission=np.round(case.emission))
    p = case.problem
    unconstrained, single = solve_unconstrained(p, temperature), solve_single_edit(p)
    penalties = Penalties(*(price / temperature for price in FREE))
    assert score_of(p, unconstrained.path.states, penalties) == pytest.approx(
        unconstrained.score, abs=1e-3
    )
    assert score_of(p, single.path.states, penalties) == pytest.approx(single.score, abs=1e-3)
    assert single.path.states.max() < 2 * len(p.tokens) + 1, "no unclaimed speech without arcs"


@given(cases(unknown=True), st.integers(1, 200))
@settings(max_examples=150, deadline=None)
def test_blocks_change_nothing(case: Case, block: int) -> None:
    p = case.problem
    prepared = prepare(case.emission, case.model)
    whole = solve_single_edit(p), solve_unconstrained(p, 1.0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(passes, "BLOCK", block)
        parts = solve_single_edit(p), solve_unconstrained(p, 1.0)
        in_parts = align(prepared, transcript(*case.words), case.model)
    for one, other in zip(whole, parts, strict=True):
        assert one.score == other.score
        np.testing.assert_array_equal(one.best, other.best)
        np.testing.assert_array_equal(one.path.states, other.path.states)
    assert in_parts == align(prepared, transcript(*case.words), case.model)


def test_long_texts_cost_the_same_in_blocks() -> None:
    """`text_loss` holds a few frames at a time, whatever the length."""
    words = ["cab", "abba", "b", "cc"] * 40
    emission = random_emission(1000, 5, 0)
    single = solve_single_edit(problem_of(emission, SMALL, *words))
    loss = text_loss(prepare(emission, SMALL), transcript(*words), SMALL)
    assert loss == pytest.approx(-single.score / 400, abs=1e-5)


@given(cases(), st.sampled_from([0.5, 2.0, 4.0]))
@settings(max_examples=100, deadline=None)
def test_temperature_scales_prices_and_scores_alike(case: Case, temperature: float) -> None:
    """Logits divided by a temperature: every score is divided by it, and no decision changes."""
    sharp = case.problem
    flat = problem_of(
        log_softmax(case.emission.astype(np.float64) / temperature), case.model, *case.words
    )
    for one, other in (
        (solve_single_edit(sharp), solve_single_edit(flat)),
        (solve_unconstrained(sharp, 1.0), solve_unconstrained(flat, temperature)),
    ):
        assert other.score * temperature == pytest.approx(one.score, abs=1e-2)
        near(other.best * temperature, one.best)


def backwards(p: Problem, before: list[int], after: list[int]) -> list[float]:
    places = np.array(before), np.array(after)
    found = kernels.score_reversed(p.arrays, *places)
    return [float(score) for score in found]


@given(cases(most_words=1, unknown=True))
@settings(max_examples=100, deadline=None)
def test_a_word_backwards_has_the_score_of_one_written_backwards(case: Case) -> None:
    (word,) = case.words
    (found,) = backwards(case.problem, [0], [len(case.emission)])
    turned = problem_of(case.emission, case.model, word[::-1])
    assert found == pytest.approx(solve_single_edit(turned).score, abs=1e-4)


@given(st.lists(WORD, min_size=1, max_size=4), st.integers(0, 2**32 - 1))
@settings(max_examples=100, deadline=None)
def test_a_word_that_is_the_same_backwards_has_its_own_score(words: list[str], seed: int) -> None:
    """With the separators beside it, between the words beside it."""
    palindromes = [word + word[::-1] for word in words]
    p = problem_of(random_emission(80, len(SMALL.tokens), seed), SMALL, *palindromes)
    path = solve_single_edit(p).path.states
    frames = [np.flatnonzero(path == 2 * j + 1) for j in range(len(p.tokens))]
    before = [0, *(int(frames[j][-1]) + 1 for j in p.last[:-1])]
    after = [*(int(frames[j][0]) for j in p.first[1:]), len(path)]
    columns = np.append(p.tokens, p.tokens[-1])[path // 2]
    columns[path % 2 == 0] = p.emission.scores.shape[1] - 1
    scores = p.emission.scores[np.arange(len(path)), columns].astype(np.float64)
    own = [float(scores[begin:end].sum()) for begin, end in zip(before, after, strict=True)]
    assert backwards(p, before, after) == pytest.approx(own, abs=1e-4)


def test_words_lie_where_they_are_heard() -> None:
    found = aligned("--c-aa-t- --s-a-t---", "cat sat")
    assert [(w.text, round(w.start, 2), round(w.end, 2)) for w in found.words] == [
        ("cat", 0.04, 0.16),
        ("sat", 0.24, 0.34),
    ]
    assert all(w.kept and w.confidence > 0.95 for w in found.words)
    assert found.separator_times == pytest.approx([0.19])
    assert found.letter_times == pytest.approx([0.05, 0.09, 0.15, 0.25, 0.29, 0.33])
    assert [(g.start, g.end) for g in found.gaps] == [
        pytest.approx(gap) for gap in [(0, 0.04), (0.16, 0.24), (0.34, 0.4)]
    ]
    assert [gap.separator for gap in found.gaps] == [None, pytest.approx(0.19), None]
    assert found.unaligned == ()
    assert found.loss == pytest.approx(0, abs=1e-6)


SENTENCE = "the green bird sat down"


def heard_at(word: str) -> tuple[float, float]:
    """From a word's first letter to its last one in `said(SENTENCE)`."""
    frames = said(SENTENCE)
    first = SENTENCE.index(word)
    place = [i for i, c in enumerate(frames) if c != "-"]
    return place[first] * 0.02, (place[first + len(word) - 1] + 1) * 0.02


def strongest(values: list[float]) -> int:
    return int(np.argmax(values))


def test_nothing_speaks_against_a_right_transcript() -> None:
    found = aligned(said(SENTENCE), SENTENCE)
    assert all(w.kept and w.deletion < 0 and w.substitution < 1e-3 for w in found.words)
    assert all(gap.insertion < 1e-3 for gap in found.gaps)
    assert found.unaligned == ()


def test_repeated_letters_need_a_blank_between() -> None:
    assert [w.kept for w in aligned("-b-o-o-k-", "book").words] == [True]
    found = align_text(says("book"), "book")
    assert isinstance(found, Unalignable)
    assert found.code == "A002"
    assert "5 frames are needed" in found.reason


def test_a_word_that_is_not_said() -> None:
    found = aligned(said("the cat sat"), "the cat bird sat")
    assert [w.kept for w in found.words] == [True, True, False, True]
    deletion = [w.deletion for w in found.words]
    assert strongest(deletion) == 2
    assert deletion[2] > USUAL["deletion"]
    assert deletion[0] < 0
    assert max(w.substitution for w in found.words if w.text != "bird") <= 0, (
        "its neighbours are right"
    )
    bird = found.words[2]
    assert (bird.start, bird.end) == (found.words[1].end, found.words[3].start)
    assert bird.confidence < 0.05


@pytest.mark.parametrize("text", ["bird the cat", "the cat bird", "the bird"])
def test_words_at_the_edges_may_be_left_out(text: str) -> None:
    found = aligned(said(text.replace("bird", "").strip()), text)
    assert [w.kept for w in found.words] == [w.text != "bird" for w in found.words]
    assert strongest([w.deletion for w in found.words]) == text.split().index("bird")


def test_of_a_text_that_nobody_says_no_word_is_kept() -> None:
    found = aligned("-" * 40, "the bird")
    assert not any(w.kept for w in found.words)
    assert all(w.deletion > USUAL["deletion"] for w in found.words)
    assert all((w.start, w.end) == (0, pytest.approx(0.8)) for w in found.words)
    assert found.letter_times == ()


@pytest.mark.parametrize("spoken", ["we don't know", "we dont know"])
@pytest.mark.parametrize("written", ["we don't know", "we dont know"])
def test_an_apostrophe_is_no_sound(spoken: str, written: str) -> None:
    """Whether it is written or heard changes nothing; a letter too many does."""
    found = aligned(said(spoken), written)
    assert found.loss == pytest.approx(0, abs=1e-5)
    assert all(w.kept and w.deletion < 0 and w.substitution < 1e-3 for w in found.words)
    assert aligned(said(spoken), written.replace("don", "dorn")).loss > 0.3


def test_a_word_of_nothing_that_sounds_proves_nothing() -> None:
    words = transcript("we", "''", "dont", "?'", "know")
    prepared = prepare(says(said("we dont know")), MODEL)
    found = align(prepared, words, MODEL)
    assert isinstance(found, Alignment)
    assert [w.letters for w in found.words] == [2, 0, 4, 0, 4]
    assert [w.deletion for w in found.words if not w.letters] == [LEAST, LEAST]
    nothing = align(prepared, transcript("''", "?'"), MODEL)
    assert isinstance(nothing, Unalignable)
    assert nothing.code == "T002"


def test_an_apostrophe_at_the_edge_of_a_word_takes_no_time_of_a_pause() -> None:
    frames = said("so ") + "-" * 40 + said("tis the dogs ") + "-" * 40 + said("bone")
    plain, marked = (
        aligned(frames, "so tis the dogs bone"),
        aligned(frames, "so 'tis the dogs' bone"),
    )
    for one, other in zip(plain.words, marked.words, strict=True):
        assert (other.start, other.end) == pytest.approx((one.start, one.end), abs=1e-9)


BEFORE, AFTER = said("the green "), said("sat down")
NOISE = "-" * 60
"""A second in which the model hears nothing."""
INSIDE = (0.02 * len(BEFORE), 0.02 * (len(BEFORE) + len(NOISE)))


@pytest.mark.parametrize(
    ("middle", "text", "sound", "masked"),
    [
        (NOISE, "the green old bird sat down", True, True),
        (NOISE, "the green old bird sat down", False, False),
        ("", "the green old bird sat down", True, False),
        (NOISE, "the green bird sat down", True, False),
        (said("cupcup", 4), "the green old bird sat down", True, False),
    ],
    ids=["masked", "a pause", "no time", "a single word", "other speech"],
)
def test_words_that_noise_may_drown_are_no_evidence(
    middle: str, text: str, sound: bool, masked: bool
) -> None:
    """Several in a row, with sound and time enough, in which the model hears nothing."""
    frames = BEFORE + middle + AFTER
    whole = 0.02 * len(frames)
    activity = [(0.0, whole)] if sound else [(0.0, INSIDE[0]), (INSIDE[1], whole)]
    found = aligned(frames, text, activity=activity)
    middles = [w for w in found.words if w.text in ("old", "bird")]
    assert not any(w.kept for w in middles)
    assert [w.masked for w in found.words] == [masked and w in middles for w in found.words]
    if masked:
        assert all(w.deletion == 0 and w.substitution <= 0 for w in middles)
    else:
        assert all(w.deletion > USUAL["deletion"] for w in middles)


@given(
    st.lists(st.tuples(st.integers(1, 30), st.integers(1, 30)), max_size=4),
    st.integers(0, 200),
)
@settings(max_examples=100, deadline=None)
def test_sound_before_each_frame_is_that_of_the_activity(
    parts: list[tuple[int, int]], frames: int
) -> None:
    """Pauses and stretches of sound in hops of 10 ms, counted hop by hop."""
    active = np.concatenate([np.zeros(0), *(np.repeat([0, 1], pair) for pair in parts)])
    prepared = prepare(random_emission(frames, 5, 0), SMALL, spans(active.astype(bool)))
    counted = np.concatenate([[0], np.cumsum(active)]) / 100
    at = np.minimum(2 * np.arange(frames + 1), len(active))
    np.testing.assert_allclose(prepared.sound, counted[at], atol=1e-9)


def test_a_doubled_word_is_doubted_in_both_places() -> None:
    found = aligned(said(SENTENCE), "the green bird bird sat down")
    deletion = [w.deletion for w in found.words]
    assert min(deletion[2:4]) > USUAL["deletion"]
    assert min(deletion[2:4]) > max(deletion[:2] + deletion[4:])
    assert max(deletion[0], deletion[5]) < 0


def test_a_replaced_word() -> None:
    found = aligned(said(SENTENCE), "the purple bird sat down")
    other = [w.substitution for w in found.words]
    assert other[1] > USUAL["substitution"] > 1 > max(other[0], *other[2:])
    assert [w.kept for w in found.words] == [True, False, True, True, True]
    assert found.unaligned == (pytest.approx(heard_at("green")),)
    assert found.words[0].end <= found.words[1].start < found.words[1].end <= found.words[2].start


def test_words_that_are_left_out_lie_where_others_are_heard_instead() -> None:
    found = aligned(said(SENTENCE), "the purple moly sat down")
    assert [(w.kept, w.placed) for w in found.words[1:3]] == [(False, True)] * 2
    for word, other in zip(found.words[1:3], ("green", "bird"), strict=True):
        assert word.start < np.mean(heard_at(other)) < word.end
    found = aligned(said("the sat down"), "the purple moly sat down")
    between = (found.words[0].end, found.words[3].start)
    assert [(w.placed, w.start, w.end) for w in found.words[1:3]] == [(False, *between)] * 2


def test_no_word_moves_into_speech_that_the_text_lacks() -> None:
    """As it would have to, were the first word said."""
    moved = aligned(said("green green bird bird"), "the green green bird").words
    right = aligned(said("green green bird"), "green green bird").words
    assert [(w.start, w.end) for w in moved[1:3]] == [(w.start, w.end) for w in right[:2]]


def test_a_word_that_noise_drowns_is_not_replaced() -> None:
    """Its letters are as unlikely as any others, of which its own are still the likeliest."""
    emission = says(said(SENTENCE))
    start, end = (round(time / 0.02) for time in heard_at("green"))
    masked = emission[start:end].copy()
    masked += np.where(masked.max(axis=1, keepdims=True) == masked, -4.0, 0.0)
    masked[:, 0] = np.log(0.9)
    emission[start:end] = log_softmax(masked)
    right = align_text(emission, SENTENCE)
    wrong = align_text(emission, "the purple bird sat down")
    assert isinstance(right, Alignment) and isinstance(wrong, Alignment)
    assert right.loss > 0.5, "it costs much"
    assert right.words[1].substitution < USUAL["substitution"] < wrong.words[1].substitution


def test_a_word_that_the_transcript_lacks() -> None:
    found = aligned(said(SENTENCE), "the bird sat down")
    speech = [gap.insertion for gap in found.gaps]
    assert strongest(speech) == 1
    assert speech[1] > USUAL["insertion"]
    assert all(w.kept for w in found.words)
    assert found.unaligned == (pytest.approx(heard_at("green")),)
    gap = found.gaps[1]
    assert gap.start < heard_at("green")[0] < heard_at("green")[1] < gap.end


@pytest.mark.parametrize(
    ("text", "edge", "lacks"),
    [("bird sat down", 0, "the green"), ("the green bird", -1, "sat down")],
)
def test_a_text_that_is_cut_off(text: str, edge: int, lacks: str) -> None:
    found = aligned(said(SENTENCE), text)
    speech = [gap.insertion for gap in found.gaps]
    assert strongest(speech) == edge % len(speech)
    assert speech[edge] > USUAL["edge"]
    assert all(w.kept for w in found.words)
    assert found.unaligned == (pytest.approx(heard_at(lacks)),)
    gap = found.gaps[edge]
    assert gap.start <= heard_at(lacks)[0] < heard_at(lacks)[1] <= gap.end


def test_nothing_of_another_text_is_kept() -> None:
    found = aligned(said("the dog ran"), "my blue umbrella")
    assert not any(w.kept for w in found.words)
    assert found.loss > 1


def test_unknown_characters_stand_in_as_wildcards() -> None:
    found = aligned("-c-a-t- -x-y- -s-a-t-", "cat 12 sat")
    assert [w.letters for w in found.words] == [3, 0, 3]
    assert all(w.kept for w in found.words)
    assert found.words[1].start == pytest.approx(0.18)
    number = found.words[1]
    assert number.deletion == number.substitution == LEAST, "a wildcard proves nothing"
    part = aligned(said("cats"), "c4ts")
    assert part.words[0].letters == 3
    assert part.words[0].deletion > LEAST


def test_a_wildcard_costs_what_an_average_letter_costs() -> None:
    """The mean of the letters' log-probabilities, each by its own share of the letters'."""
    emission = random_emission(20, len(SMALL.tokens), 3)
    prepared = prepare(emission, SMALL)
    letters = emission[:, 2:].astype(np.float64)
    shares = np.exp(letters)
    shares /= shares.sum(axis=1, keepdims=True)
    expected = (shares * letters).sum(axis=1) - emission.max(axis=1)
    np.testing.assert_allclose(prepared.scores[:, -2], expected, atol=1e-4)
    np.testing.assert_array_equal(prepared.scores[:, -1], prepared.scores[:, SMALL.blank])
    impossible = emission.copy()
    impossible[:, 4] = -np.inf
    scores = prepare(impossible, SMALL).scores[:, -2]
    assert np.isfinite(scores).all(), "a letter of no probability has no share"


def test_both_hebrew_spellings_of_a_word_are_the_same() -> None:
    """Letters for vowels inside a word may be left out of what is heard, at a cost."""
    model = replace(MODEL, language="he", tokens=("-", " ", *"אבדוילםמרשקכח"))

    def loss(heard: str, written: str) -> float:
        columns = [model.tokens.index(c) for c in said(heard)]
        emission = np.where(np.eye(len(model.tokens))[columns] > 0, 0.0, -10.0).astype(np.float32)
        transcript = spell(written, frozenset(model.tokens[2:]))
        found = text_loss(prepare(emission, model), transcript, model)
        assert found is not None
        return found * transcript.letters

    assert loss("שמים אדם", "שמים אדם") == loss("שמיים דוד", "שמיים דוד") == 0
    assert loss("שמים דד", "שמיים דוד") == 2 * UNWRITTEN
    assert loss("מר", "ומר") >= 10, "and"
    assert loss("של", "שלו") >= 10, "his"
    assert loss("שרים", "שמרים") >= 10, "a consonant"
    assert loss("קול בכם", "כול בקם") < 1e-3, "they sound alike"
    assert loss("קול", "חול") >= 9, "neither is said as the other"


@pytest.mark.parametrize(
    ("text", "code", "says_why"),
    [
        ("", "T001", "no letters"),
        ("...", "T001", "no letters"),
        ("שלום", "T002", "none of its 4 characters"),
        ("far too long", "A002", "the audio has 7"),
    ],
)
def test_what_cannot_be_aligned_says_why(text: str, code: str, says_why: str) -> None:
    found = align_text(says("-c-a-t-"), text)
    assert isinstance(found, Unalignable)
    assert found.code == code
    assert says_why in found.reason


def test_what_is_too_long_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lattice, "MAX_CELLS", 100)
    found = align_text(says(said("cat sat")), "cat sat")
    assert isinstance(found, Unalignable)
    assert found.code == "A004"


def test_a_text_that_just_fits() -> None:
    found = aligned("cat sat", "cat sat")
    assert [(w.start, w.end) for w in found.words] == [
        pytest.approx((0, 0.06)),
        pytest.approx((0.08, 0.14)),
    ]


def test_a_model_without_a_separator() -> None:
    emission = np.delete(says("--c-a-t---s-a-t---d-o-g--"), 1, axis=1)
    found = align_text(emission, "cat sat dog", JOINED)
    assert isinstance(found, Alignment)
    assert [round(w.start, 2) for w in found.words] == [0.04, 0.2, 0.36]
    assert found.separator_times == ()
    assert all(gap.separator is None for gap in found.gaps)
    missing = align_text(emission, "cat dog", JOINED)
    assert isinstance(missing, Alignment)
    assert int(np.argmax([gap.insertion for gap in missing.gaps])) == 1
    assert missing.unaligned == (pytest.approx((0.2, 0.3)),)


def test_confidence_is_the_letters_mean() -> None:
    emission = says(said("cat"))
    emission[emission.argmax(axis=1) == MODEL.tokens.index("c")] = says("k", 0.6)[0]
    found = align_text(emission, "cat")
    assert isinstance(found, Alignment)
    # One letter of three has (1 - 0.6) / 28 where another has 0.6.
    assert found.words[0].confidence == pytest.approx(((0.4 / 28) / 0.6) ** (1 / 3), rel=1e-3)


LONG = """
import json, re, sys
from pathlib import Path
import numpy as np
from asr_gate.audit.align import align, prepare
from asr_gate.corpus.text.letters import Transcript, Word
from tests.audit.align.synthetic import MODEL

FRAMES_A_SECOND = 12.5
FRAMES = int(FRAMES_A_SECOND * 1800)
random = np.random.default_rng(0)
letters = MODEL.tokens[2:]
words, columns, starts = [], [], []
while len(columns) < FRAMES - 100:
    word = "".join(random.choice(list(letters[:26]), random.integers(1, 9)))
    starts.append(len(columns))
    words.append(Word(word, tuple(word)))
    for letter, after in zip(word + " ", word[1:] + "  ", strict=True):
        columns += [MODEL.tokens.index(letter)] + [0] * (letter == after)
    columns += [0] * int(random.integers(0, 9))
columns += [0] * (FRAMES - len(columns))
emission = np.full((len(columns), len(MODEL.tokens)), np.log(0.01 / 28), np.float32)
emission[np.arange(len(columns)), columns] = np.log(0.99)
from dataclasses import replace
model = replace(MODEL, stride=1 / FRAMES_A_SECOND)
# Compiling takes memory, too; only what comes after counts.
align(prepare(emission[:200], model), Transcript((Word("a", ("a",)),), 0, 0), model)
Path("/proc/self/clear_refs").write_text("5")
found = align(prepare(emission, model), Transcript(tuple(words), 0, 0), model)
late = [abs(w.start - at / FRAMES_A_SECOND) for w, at in zip(found.words, starts, strict=True)]
print(json.dumps({
    "letters": sum(len(word.letters) for word in words),
    "kept": all(w.kept for w in found.words),
    "late": max(late),
    "deletion": max(w.deletion for w in found.words),
    "bytes": 1024 * int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]),
}))
"""


@pytest.mark.slow
def test_half_an_hour_is_aligned_in_little_memory() -> None:
    done = subprocess.run(
        [sys.executable, "-c", LONG], cwd=ROOT, capture_output=True, text=True, timeout=280
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["letters"] > 9_000
    assert found["bytes"] < 1.2e9
    assert found["kept"]
    assert found["late"] < 1e-6
    assert found["deletion"] < 0


def test_where_nothing_can_be_cached_it_is_compiled_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(**_: object) -> None:
        raise OSError("read-only file system")

    monkeypatch.setattr(caching.tempfile, "TemporaryFile", refuse)
    with pytest.raises(RuntimeError, match="cannot cache"):
        numba.njit(cache=True)(_double)
    assert compiled(_double)(21) == 42


def _double(number: int) -> int:
    return 2 * number
