"""In which batches rows come; no audio is opened."""

from __future__ import annotations

import random
from collections.abc import Sequence

from asr_gate.corpus.utterance import Seconds
from asr_gate.train.data.rows import Row


def batches(
    rows: Sequence[Row], batch_seconds: Seconds, batch_tokens: int, *, seed: int, epoch: int
) -> list[list[int]]:
    """Indices into `rows`, in batches of similar length; seed and epoch decide the order.

    A batch holds at most `batch_seconds` of padded audio (its longest row times its number of
    rows) and `batch_tokens` padded tokens (the row with most tokens times its number of rows). A
    row that is past one of them alone is a batch of its own.
    """
    # Not lhotse's DynamicBucketingSampler (1.33): its last cut may take a batch past the bound, as
    # in 3 of 576 in a trial, and its batches of seed 2 in epoch 1 are those of seed 1 in epoch 2.
    generator = random.Random(f"{seed}/{epoch}")
    order = list(range(len(rows)))
    generator.shuffle(order)
    # Whole seconds, so that rows of similar length meet others in each epoch.
    order.sort(key=lambda index: int(rows[index].seconds))
    result: list[list[int]] = []
    longest, most = 0.0, 0
    for index in order:
        row = rows[index]
        longest, most = max(longest, row.padded), max(most, row.tokens)
        count = len(result[-1]) + 1 if result else 1
        if result and longest * count <= batch_seconds and most * count <= batch_tokens:
            result[-1].append(index)
        else:
            result.append([index])
            longest, most = row.padded, row.tokens
    generator.shuffle(result)
    return result
