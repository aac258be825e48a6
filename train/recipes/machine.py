"""What a recipe leaves to the machine (`auto`): batches, accumulation, checkpointing and caches.

The audio of a step is the same on every machine (`optimizer.step_seconds`), so that the learning
rates fit. What one process takes of it at once follows from its GPU's memory.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from asr_gate.corpus.utterance import Seconds
from asr_gate.train.recipes.data import Data
from asr_gate.train.recipes.schema import Recipe
from asr_gate.train.recipes.section import AUTO

GIB = 2**30

USED = 0.85
"""Share of a GPU's memory that is planned; the rest is for what was not counted, and fragments."""

MOST_SECONDS: Seconds = 240.0
"""Longest batch; a longer one would not be faster."""


@dataclass(frozen=True)
class Sizes:
    """How large the rows of a family of models are; those of one frame each 20 ms."""

    tokens_per_second: float = 50.0
    """Of audio, with everything that comes with it in a row of usual length."""
    enough_tokens: int = 3_000
    """A minute of audio: with room for so much, layers need not compute their activations twice.
    And what a process takes at once on a CPU."""
    fewest_tokens: int = 1_500
    """The longest rows have about as many, and they have to fit."""
    window: Seconds = 0.0
    """Rows are padded to this, so that a batch is a whole number of windows; 0: they are not."""


@dataclass(frozen=True)
class Need:
    """Memory that a process needs in one phase, in bytes."""

    fixed: int
    """Whatever the batch is."""
    token: int
    """For each token of a batch."""
    checkpointed_token: int
    """The same with gradient checkpointing."""


def resolve_for_machine(
    recipe: Recipe,
    needs: Mapping[str, Need],
    sizes: Sizes,
    *,
    memory: float | None,
    processes: int,
) -> Recipe:
    """The recipe with a plain value wherever it says `auto`.

    Args:
        recipe: as it was loaded.
        needs: of each phase, by its name.
        sizes: of the family's rows.
        memory: of each process' GPU, in GiB; None: a CPU.
        processes: number of them, over all machines.
    """
    content = recipe.model_dump()
    data, optimizer = content["data"], content["optimizer"]
    fitting = []
    for phase in content["phases"]:
        need = needs[phase["name"]]
        plain = _tokens(memory, need.fixed, need.token, sizes)
        if phase["gradient_checkpointing"] == AUTO:
            phase["gradient_checkpointing"] = plain < sizes.enough_tokens
        checkpointed = phase["gradient_checkpointing"]
        fitting.append(
            _tokens(memory, need.fixed, need.checkpointed_token, sizes) if checkpointed else plain
        )
    if data["batch_tokens"] == AUTO:
        data["batch_tokens"] = max(sizes.fewest_tokens, min(fitting) // 64 * 64)
    share = optimizer["step_seconds"] / processes
    if data["batch_seconds"] == AUTO:
        most = min(MOST_SECONDS, data["batch_tokens"] / sizes.tokens_per_second)
        count = optimizer["accumulate"]
        count = math.ceil(share / most) if count == AUTO else count
        seconds = min(most, share / count)
        if sizes.window:
            seconds = max(1, seconds // sizes.window) * sizes.window
        data["batch_seconds"] = round(seconds, 1)
    if optimizer["accumulate"] == AUTO:
        optimizer["accumulate"] = max(1, round(share / data["batch_seconds"]))
    for key in ("cache_gib", "audio_cache_gib"):
        if data[key] == AUTO:
            # A GPU computes both faster than they are read: docs/training.md, "Audio cache".
            data[key] = Data.model_fields[key].default if memory is None else 0.0
    return _with(recipe, content)


def _with(recipe: Recipe, content: dict[str, object]) -> Recipe:
    """The recipe with these values; its tracker's settings still know where they come from."""
    return Recipe.model_validate(content).model_copy(update={"wandb": recipe.wandb})


def _tokens(memory: float | None, fixed: int, token: int, sizes: Sizes) -> int:
    """How many tokens of one batch fit."""
    if memory is None:
        return sizes.enough_tokens
    return int((USED * memory * GIB - fixed) / token)


def resolve_as_before(recipe: Recipe, before: Recipe, *, processes: int, earlier: int) -> Recipe:
    """The recipe with the values of an earlier run wherever it says `auto`, to resume that run.

    The batches of a step stay as many, if `processes` divides them.

    Args:
        recipe: as it was loaded.
        before: the recipe of the earlier run, as it ran.
        processes: that train now.
        earlier: processes that trained then.
    """
    content, then = recipe.model_dump(), before.model_dump()
    if content["optimizer"]["accumulate"] == AUTO:
        together = then["optimizer"]["accumulate"] * earlier
        if together % processes == 0:
            content["optimizer"]["accumulate"] = together // processes
    _take(content, then)
    return _with(recipe, content)


def _take(content: dict[str, object], then: dict[str, object]) -> None:
    """Put the earlier value, where there is one, in place of every `auto`."""
    for key, value in content.items():
        other = then.get(key)
        if value == AUTO and other is not None:
            content[key] = other
        elif isinstance(value, dict) and isinstance(other, dict):
            _take(value, other)
        elif isinstance(value, list) and isinstance(other, list):
            for one, its in zip(value, other, strict=False):
                if isinstance(one, dict) and isinstance(its, dict):
                    _take(one, its)
