"""In which batches rows are evaluated, how they are read while the model works on others, and where
their transcripts are cut off."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence

import torch
from torch.utils.data import DataLoader, Dataset

from asr_gate.corpus.utterance import Seconds
from asr_gate.train.data.examples import Encoder, Example
from asr_gate.train.data.rows import Row
from asr_gate.train.plan import Refused
from asr_gate.train.recipes import Evaluation
from asr_gate.train.signals import quiet_worker

SHORTEST: Seconds = 2.0
"""What a row counts at least: its prompt and its transcript take memory too."""

ROOM = 16
"""Tokens that every transcript may have beyond what is expected of it."""


def evaluation_batches(rows: Sequence[Row], batch_seconds: Seconds) -> list[list[int]]:
    """Indices into `rows`, in batches of similar length; the longest rows come first.

    The batches depend on nothing else, so that any number of processes computes the same. Longest
    first: if memory does not suffice, that shows at once; and what is left at the end is short.

    Args:
        rows: what is evaluated.
        batch_seconds: padded audio in one batch; a longer row is a batch of its own.
    """
    order = sorted(range(len(rows)), key=lambda index: (-rows[index].seconds, index))
    result: list[list[int]] = []
    for index in order:
        if result:
            longest = max(rows[result[-1][0]].padded, SHORTEST)
            if longest * (len(result[-1]) + 1) <= batch_seconds:
                result[-1].append(index)
                continue
        result.append([index])
    return result


def read_batches(
    rows: Sequence[Row], batches: list[list[int]], encoder: Encoder, workers: int
) -> DataLoader[Example | Refused]:
    """The `Encoder.evaluation_batch` of each list of indices, in order.

    Args:
        rows: what is evaluated.
        batches: indices into `rows`.
        encoder: reads and encodes a row.
        workers: processes that read; 0: this one does.
    """
    if workers:
        # The tokenizer's threads do not survive the fork, and would warn once per worker.
        os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    return DataLoader(
        _Rows(rows, encoder),
        batch_sampler=batches,
        collate_fn=encoder.evaluation_batch,
        num_workers=min(workers, len(batches)),
        worker_init_fn=quiet_worker,
        # Of its own: an evaluation must not move the random numbers of the training.
        generator=torch.Generator(),
    )


class _Rows(Dataset[Example | Refused]):
    """Rows by their index, as they are: never changed at random."""

    def __init__(self, rows: Sequence[Row], encoder: Encoder) -> None:
        self.rows = rows
        self.encoder = encoder

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> Example | Refused:
        return self.encoder.read(self.rows[index])


def most_tokens(settings: Evaluation, row: Row, reference: int) -> int:
    """Where the transcript of a row is cut off in the evaluations of a training.

    A model that repeats itself would else write until `max_new_tokens`, and its batch wait for it.

    Args:
        settings: of the recipe.
        row: what is transcribed.
        reference: tokens of the row's reference.
    """
    expected = max(math.ceil(settings.tokens_per_second * row.seconds), reference)
    return min(settings.max_new_tokens, expected + ROOM)
