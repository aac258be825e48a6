"""In which batches rows come, and how many tokens their audio has; no audio is opened."""

from __future__ import annotations

import random
from collections.abc import Sequence

from asr_gate.corpus.utterance import Seconds
from asr_gate.train.data.rows import Row

FRAMES_PER_SECOND = 100
"""Mel frames per second of Qwen3-ASR."""


def audio_tokens(seconds: Seconds) -> int:
    """How many placeholder tokens Qwen3-ASR uses for audio of this length.

    Each whole second of 100 mel frames becomes 13 tokens, the rest one token per 8 frames.
    """
    # The feature extractor pads clips to at least half a second.
    whole, rest = divmod(int(max(seconds, 0.5) * FRAMES_PER_SECOND), FRAMES_PER_SECOND)
    return whole * 13 + -(-rest // 8)


def batches(
    rows: Sequence[Row], batch_seconds: Seconds, *, seed: int, epoch: int
) -> list[list[int]]:
    """Indices into `rows`, in batches of similar length; seed and epoch decide the order.

    A batch holds at most `batch_seconds` of padded audio (its longest row times its number of
    rows); a row that is longer than that is a batch of its own.
    """
    # Not lhotse's DynamicBucketingSampler (1.33): its last cut may take a batch past the bound, as
    # in 3 of 576 in a trial, and its batches of seed 2 in epoch 1 are those of seed 1 in epoch 2.
    generator = random.Random(f"{seed}/{epoch}")
    order = list(range(len(rows)))
    generator.shuffle(order)
    # Whole seconds, so that rows of similar length meet others in each epoch.
    order.sort(key=lambda index: int(rows[index].seconds))
    result: list[list[int]] = []
    longest = 0.0
    for index in order:
        longest = max(longest, rows[index].seconds)
        if result and longest * (len(result[-1]) + 1) <= batch_seconds:
            result[-1].append(index)
        else:
            result.append([index])
            longest = rows[index].seconds
    generator.shuffle(result)
    return result
