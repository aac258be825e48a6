"""In which batches and steps rows come."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from asr_gate.corpus.utterance import Utterance
from asr_gate.train import recipes
from asr_gate.train.data.batches import batches
from asr_gate.train.data.rows import Row, Selection
from asr_gate.train.evaluation.reading import evaluation_batches
from asr_gate.train.loop.batch_plan import plan_steps

TINY = recipes.load("round2-tiny", ["phases.0.epochs=[1]", "phases.1.epochs=[2]"])[1]
MOST = 10**9
"""Tokens that bound nothing."""


def row(seconds: float, tokens: int) -> Row:
    utterance = Utterance(
        id="u", text="red", audio=Path("a.wav"), audio_name="a.wav", origin="m.jsonl:1"
    )
    return Row(utterance, seconds, "English", tokens=tokens)


def rows(count: int) -> list[Row]:
    return [row(1.0 + i % 7, 20) for i in range(count)]


@settings(max_examples=1000, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    count=st.integers(1, 60),
    seconds=st.floats(0.5, 40),
    tokens=st.integers(20, 2000),
    accumulate=st.integers(1, 4),
    world=st.integers(1, 5),
)
def test_no_batch_is_past_a_bound_no_row_is_lost_and_ranks_are_even(
    seed: int, count: int, seconds: float, tokens: int, accumulate: int, world: int
) -> None:
    draw = random.Random(seed)
    some = [row(draw.expovariate(0.3) + 0.1, draw.randint(20, 400)) for _ in range(count)]
    recipe = TINY.model_copy(
        update={
            "data": recipes.Data(batch_seconds=seconds, batch_tokens=tokens),
            "optimizer": recipes.Optimizer(accumulate=accumulate),
        }
    )
    for steps in plan_steps(Selection(some, [], [], []), recipe, world):
        made = [batch for step in steps for batch in step]
        assert sorted(index for batch in made for index in batch) == list(range(count))
        for batch in made:
            longest = max(some[index].seconds for index in batch)
            most = max(some[index].tokens for index in batch)
            assert len(batch) == 1 or longest * len(batch) <= seconds
            assert len(batch) == 1 or most * len(batch) <= tokens
        for step in steps:
            shares = [len(step[rank::world]) for rank in range(world)]
            assert max(shares) - min(shares) <= 1
            assert sum(shares) == len(step) <= accumulate * world


def test_rows_of_a_batch_are_alike_in_length() -> None:
    some = rows(100)
    made = batches(some, 20.0, MOST, seed=1, epoch=1)
    for batch in made:
        lengths = [some[index].seconds for index in batch]
        assert max(lengths) - min(lengths) <= 1
    assert len(made) < 30


def test_many_short_rows_are_bounded_by_their_tokens() -> None:
    some = [row(0.1, 25) for _ in range(600)]
    assert len(batches(some, 60.0, MOST, seed=1, epoch=1)) == 1
    assert max(map(len, batches(some, 60.0, 1000, seed=1, epoch=1))) == 40


def test_a_row_counts_as_the_window_that_the_model_pads_it_to() -> None:
    some = [replace(one, window=30.0) for one in rows(50)]
    made = batches(some, 120.0, MOST, seed=1, epoch=1), evaluation_batches(some, 120.0)
    for planned in made:
        assert max(map(len, planned)) == 4
        assert sum(map(len, planned)) == 50


def test_batches_are_decided_by_seed_and_epoch() -> None:
    some = rows(50)
    first = batches(some, 20.0, MOST, seed=1, epoch=1)
    assert batches(some, 20.0, MOST, seed=1, epoch=1) == first
    assert batches(some, 20.0, MOST, seed=1, epoch=2) != first
    assert batches(some, 20.0, MOST, seed=2, epoch=1) != first


def test_batches_have_room_for_rows_that_are_slowed_down() -> None:
    slowed = recipes.load("round2-tiny", ["data.augment.speed=[0.5,1.5]"])[1]
    some = [row(2.0, 50) for _ in range(40)]
    for steps in plan_steps(Selection(some, [], [], []), slowed, 1):
        assert max(len(batch) for step in steps for batch in step) == 24 // (2 / 0.5)
