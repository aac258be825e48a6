"""How rows are divided, read and cut off in an evaluation."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from asr_gate.corpus.read import read_corpus
from asr_gate.corpus.utterance import Utterance
from asr_gate.train import recipes
from asr_gate.train.data.rows import Row, to_row
from asr_gate.train.distributed import Ranks
from asr_gate.train.evaluation.evaluate import EvaluationResult, Prediction, evaluate
from asr_gate.train.evaluation.reading import SHORTEST, evaluation_batches, most_tokens
from asr_gate.train.families.qwen3_asr.build import build_random, tiny_config
from asr_gate.train.families.qwen3_asr.encoder import PromptEncoder
from asr_gate.train.families.qwen3_asr.family import Qwen3ASR
from tests.train.layouts import SMALL


def made_up(lengths: Sequence[float]) -> list[Row]:
    return [
        Row(Utterance(f"u{n}", "a b", Path("a.wav"), "a.wav", f"m:{n}"), seconds, "English")
        for n, seconds in enumerate(lengths)
    ]


def test_every_row_is_in_one_batch_within_the_bound_and_ranks_have_as_many() -> None:
    choose = random.Random(3)
    for _ in range(200):
        rows = made_up([choose.lognormvariate(1.3, 0.9) for _ in range(choose.randint(1, 90))])
        planned = evaluation_batches(rows, 60.0)
        assert sorted(index for batch in planned for index in batch) == list(range(len(rows)))
        for batch in planned:
            longest = max(SHORTEST, *(rows[index].seconds for index in batch))
            assert len(batch) == 1 or longest * len(batch) <= 60
        longest_of_each = [rows[batch[0]].seconds for batch in planned]
        assert longest_of_each == sorted(longest_of_each, reverse=True)
        for world in (2, 3):
            counts = [len(planned[rank::world]) for rank in range(world)]
            assert max(counts) - min(counts) <= 1


def test_a_transcript_is_cut_off_by_its_audio_but_never_before_its_reference_ends() -> None:
    short, long = made_up([2.0, 30.0])
    settings = recipes.Evaluation(tokens_per_second=10, max_new_tokens=200)
    assert most_tokens(settings, short, 5) == 20 + 16
    assert most_tokens(settings, short, 90) == 90 + 16
    assert most_tokens(settings, long, 90) == 200


class OneOf(Ranks):
    """One of several processes, which does not wait for the others' results."""

    def gathered(self, value: Any) -> list[Any]:
        return [value]


@pytest.fixture(scope="module")
def sides(manifest: Path, processor) -> tuple[Any, PromptEncoder, list[Row]]:
    settings = recipes.Data()
    model = build_random(tiny_config(SMALL, processor), untie=False, seed=1)
    rows = [to_row(one, settings) for one in read_corpus([manifest]).utterances]
    assert all(isinstance(row, Row) for row in rows)
    return model, PromptEncoder(processor, settings), rows  # type: ignore[return-value]


def result(sides: tuple[Any, PromptEncoder, list[Row]], **named: Any) -> EvaluationResult:
    model, encoder, rows = sides
    named = {"batch_seconds": 6.0, "most_tokens": lambda row, reference: reference} | named
    found = evaluate(
        Qwen3ASR(), model, encoder, rows, device=torch.device("cpu"), numbers="spoken",
        memory_advice="use smaller batches", **named
    )  # fmt: skip
    assert found is not None
    return found


def test_neither_processes_nor_workers_change_a_result_to_the_bit(sides) -> None:
    alone = result(sides)
    assert [one.id for one in alone.predictions] == sorted(row.utterance.id for row in sides[2])
    read_elsewhere = result(sides, workers=2)
    assert read_elsewhere == alone
    divided: list[Prediction] = []
    for rank in range(2):
        divided += result(sides, ranks=OneOf(rank, 2)).predictions
    assert sorted(divided, key=lambda one: one.id) == alone.predictions


def test_each_transcript_has_its_own_limit_and_those_cut_off_are_counted(sides) -> None:
    limits = {row.utterance.id: 1 + n % 3 for n, row in enumerate(sides[2])}
    found = result(
        sides, batch_seconds=240.0, most_tokens=lambda row, reference: limits[row.utterance.id]
    )
    tokenizer = sides[1].processor.tokenizer
    whole = {one.id: one.hypothesis for one in result(sides, batch_seconds=240.0).predictions}
    for one in found.predictions:
        assert len(tokenizer(one.hypothesis).input_ids) <= limits[one.id]
        assert whole[one.id].startswith(one.hypothesis.rstrip("\ufffd"))
    assert found.unfinished() == found.rates().unfinished == 12  # a random model ends nothing


def test_an_evaluation_moves_no_random_numbers(sides) -> None:
    torch.manual_seed(1)
    before = torch.get_rng_state()
    result(sides)
    assert torch.equal(torch.get_rng_state(), before)
