"""The batches of every epoch and step, and the loader that reads them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

from torch.utils.data import DataLoader

from asr_gate.train.data.batches import batches
from asr_gate.train.data.examples import Encoder, Example, Examples
from asr_gate.train.data.rows import Selection
from asr_gate.train.plan import Refused
from asr_gate.train.recipes import Recipe
from asr_gate.train.signals import quiet_worker


def plan_steps(selection: Selection, recipe: Recipe, world: int) -> list[list[list[list[int]]]]:
    """The batches of every step of every epoch, as indices into the training rows.

    Args:
        selection: which rows train.
        recipe: how they are batched.
        world: number of processes; together they take `accumulate` batches each per step.
    """
    size = recipe.optimizer.accumulate * world
    data = recipe.data
    # Rows are planned with their own lengths, and the slowest speed makes them longer.
    slowest = data.augment.slowest
    seconds, tokens = data.batch_seconds * slowest, int(data.batch_tokens * slowest)
    planned = []
    for epoch in range(1, recipe.epochs + 1):
        all_batches = batches(selection.training, seconds, tokens, seed=recipe.seed, epoch=epoch)
        planned.append(
            [all_batches[start : start + size] for start in range(0, len(all_batches), size)]
        )
    return planned


def count_steps(planned: Sequence[Sequence[object]]) -> int:
    """Steps of the optimizer over all epochs of a plan."""
    return sum(map(len, planned))


class BatchOrder:
    """A batch sampler whose batches can be replaced, so that one loader serves all epochs."""

    def __init__(self) -> None:
        self.batches: list[list[tuple[int, int]]] = []
        """Pairs of epoch and index."""

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        return iter(self.batches)

    def __len__(self) -> int:
        return len(self.batches)


def build_loader(
    order: BatchOrder, encoder: Encoder, selection: Selection, recipe: Recipe
) -> DataLoader[Example | Refused]:
    """The loader of the training rows; its workers live as long as the run."""
    workers = recipe.data.workers
    if workers:
        # The tokenizer's threads do not survive the fork, and would warn once per worker.
        os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    return DataLoader(
        Examples(selection.training, encoder, recipe.seed),
        batch_sampler=order,
        collate_fn=encoder.batch,
        num_workers=workers,
        persistent_workers=workers > 0,
        worker_init_fn=quiet_worker,
    )
