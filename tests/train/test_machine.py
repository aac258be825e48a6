"""What a recipe leaves to the machine."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr_gate.train import recipes
from asr_gate.train.families.qwen3_asr.family import Qwen3ASR
from asr_gate.train.recipes import Need
from asr_gate.train.recipes.machine import GIB, USED
from bench import memory
from tests.train.trainings import TWO_EPOCHS, content, train

SIZES = Qwen3ASR.sizes
ROUND2 = recipes.load("round2")[1]
NEEDS = {
    "B": Need(26 * GIB, 4_200_000, 420_000),
    "A": Need(27 * GIB, 4_500_000, 460_000),
}
AUTO = (
    "data.batch_seconds=auto", "data.batch_tokens=auto", "optimizer.accumulate=auto",
    "data.cache_gib=auto", "data.audio_cache_gib=auto", "phases.1.gradient_checkpointing=auto",
    "optimizer.step_seconds=12",
)  # fmt: skip


@given(gib=st.floats(8, 200), processes=st.integers(1, 16))
def test_a_step_is_as_long_everywhere_and_fits(gib: float, processes: int) -> None:
    one = recipes.resolve_for_machine(ROUND2, NEEDS, SIZES, memory=gib, processes=processes)
    assert not recipes.chosen(one, one), "nothing is left"
    data = one.data
    step = data.batch_seconds * one.optimizer.accumulate * processes
    assert step == pytest.approx(ROUND2.optimizer.step_seconds, rel=0.05)
    assert data.batch_seconds <= 240
    assert data.batch_seconds * SIZES.tokens_per_second <= data.batch_tokens + 1
    for phase in one.phases:
        need = NEEDS[phase.name]
        token = need.checkpointed_token if phase.gradient_checkpointing else need.token
        fits = need.fixed + data.batch_tokens * token <= USED * gib * GIB
        assert fits or data.batch_tokens == SIZES.fewest_tokens


def test_more_memory_needs_no_checkpointing_and_a_gpu_no_caches() -> None:
    small, large = (
        recipes.resolve_for_machine(ROUND2, NEEDS, SIZES, memory=gib, processes=2)
        for gib in (36.0, 79.2)
    )
    assert [phase.gradient_checkpointing for phase in small.phases] == [True, True]
    assert [phase.gradient_checkpointing for phase in large.phases] == [False, False]
    assert (large.data.cache_gib, large.data.audio_cache_gib) == (0, 0)
    processor = recipes.resolve_for_machine(ROUND2, NEEDS, SIZES, memory=None, processes=1)
    assert (processor.data.cache_gib, processor.data.audio_cache_gib) == (1, 8)
    assert (processor.data.batch_seconds, processor.optimizer.accumulate) == (60, 12)


def test_what_a_user_sets_stays_and_the_rest_follows_from_it() -> None:
    def on_two(*overrides: str) -> recipes.Recipe:
        recipe = recipes.load("round2", overrides)[1]
        return recipes.resolve_for_machine(recipe, NEEDS, SIZES, memory=79.2, processes=2)

    one = on_two("data.batch_seconds=100")
    assert (one.data.batch_seconds, one.optimizer.accumulate) == (100, 4)
    one = on_two("optimizer.accumulate=6")
    assert (one.data.batch_seconds, one.optimizer.accumulate) == (60, 6)
    one = on_two("data.batch_tokens=2200")
    assert (one.data.batch_tokens, one.data.batch_seconds) == (2200, 90)
    one = on_two("phases.1.gradient_checkpointing=true", "data.audio_cache_gib=3")
    assert [phase.gradient_checkpointing for phase in one.phases] == [False, True]
    assert one.data.audio_cache_gib == 3


def test_a_resumed_run_keeps_what_was_chosen() -> None:
    then = recipes.resolve_for_machine(ROUND2, NEEDS, SIZES, memory=79.2, processes=2)
    again = recipes.resolve_as_before(ROUND2, then, processes=2, earlier=2)
    assert again == then
    alone = recipes.resolve_as_before(ROUND2, then, processes=1, earlier=2)
    assert alone.optimizer.accumulate == 2 * then.optimizer.accumulate
    assert alone.data == then.data


def test_a_run_records_numbers_and_is_resumed_with_them(
    manifest: Path, report: Path, tmp_path: Path
) -> None:
    done = train(manifest, report, *TWO_EPOCHS, *AUTO, out=tmp_path / "r")
    chosen = done.plan.chosen
    assert chosen["data.batch_seconds"] == 12
    assert chosen["optimizer.accumulate"] == 1
    assert chosen["phases.1.gradient_checkpointing"] is False
    assert content(done)["config"]["data"]["batch_seconds"] == 12
    written = recipes.load(str(tmp_path / "r" / "recipe.yaml"))[1]
    assert written.optimizer.accumulate == 1
    same = train(manifest, report, *TWO_EPOCHS, *AUTO, out=tmp_path / "r", resume=True)
    assert same.final == done.final


@pytest.mark.parametrize("override", ["data.batch_seconds=aut", "data.batch_tokens=0.5"])
def test_other_words_are_refused(override: str) -> None:
    with pytest.raises(recipes.RecipeError, match="Input should be a valid"):
        recipes.load("round2", [override])


def test_what_a_layer_keeps_is_counted() -> None:
    for name, (found, counted) in memory.measured().items():
        assert 0.6 * counted <= found <= counted, name


def test_the_page_says_what_round2_becomes() -> None:
    page = memory.PAGE.read_text(encoding="utf-8")
    assert "\n".join(memory.table(["round2"])) in page
