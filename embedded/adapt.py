"""Trains the network further on a little speech, in bounded time and by the seed alone."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from threading import Event

import torch
import torch.nn.functional as F
from torch import Tensor

from asr_gate.embedded import training
from asr_gate.embedded.network import EmbeddedNet
from asr_gate.embedded.training import Features, TrainedNet, trainable

RATE = 1e-3
WEIGHT_DECAY = 1e-2
WARM_UP = 30
"""Steps in which the rate rises."""
BATCH_FRAMES = 800
"""Of 10 ms in a step, padding included; in larger batches the steps are too few."""
STRENGTH = 0.5
"""Of the changes of features."""


@dataclass(frozen=True)
class Lesson:
    """One row to learn from."""

    mel: Tensor
    """From `Features.of`."""
    target: list[int]
    """Tokens of its transcript."""


def fine_tune(
    net: EmbeddedNet,
    lessons: Sequence[Lesson],
    *,
    passes: int,
    seed: int,
    stop: Event | None = None,
) -> TrainedNet:
    """Train a copy of a network with AdamW, a cosine to nothing, and augmentation.

    The same rows, passes and seed give the same weights to the bit: torch computes on one thread
    from now on, as the number of threads that share a sum decides its last digits.

    Args:
        net: is not changed.
        lessons: at least one.
        passes: over the lessons.
        seed: of their order and of how they are changed.
        stop: ends the training when it is set.

    Raises:
        InterruptedError: it was set.
    """
    torch.set_num_threads(1)
    found, features = trainable(net), Features()
    draw = random.Random(seed)
    plan = [batch for _ in range(passes) for batch in _batches(lessons, draw)]
    parameters = list(found.parameters())
    groups = [
        {"params": [p for p in parameters if p.dim() > 1], "weight_decay": WEIGHT_DECAY},
        {"params": [p for p in parameters if p.dim() <= 1], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=RATE, betas=(0.9, 0.98), foreach=True)
    found.train()
    for step, batch in enumerate(plan):
        if stop is not None and stop.is_set():
            raise InterruptedError
        share = min(1.0, (step + 1) / WARM_UP) * 0.5 * (1 + math.cos(math.pi * step / len(plan)))
        for group in optimizer.param_groups:
            group["lr"] = RATE * share
        mel, frames = training.pad(
            [
                features.changed(
                    lesson.mel, len(lesson.target), seed=draw.getrandbits(63), strength=STRENGTH
                )
                for lesson in batch
            ]
        )
        target, sizes = training.pad([torch.tensor(lesson.target) for lesson in batch])
        logits, _, lengths = found.logits(mel, frames)
        logs = logits.log_softmax(-1).transpose(0, 1)
        # A row that was changed past what CTC can write is left out.
        loss = F.ctc_loss(logs, target, lengths, sizes, reduction="sum", zero_infinity=True)
        loss = loss / sizes.sum()
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
    return found.eval()


def _batches(lessons: Sequence[Lesson], draw: random.Random) -> Iterator[list[Lesson]]:
    """All lessons once, in batches of like lengths, in random order."""
    groups: list[list[Lesson]] = []
    longest = 0
    for lesson in sorted(lessons, key=lambda one: len(one.mel) * draw.uniform(0.9, 1.1)):
        longest = max(longest, len(lesson.mel))
        if not groups or longest * (len(groups[-1]) + 1) > BATCH_FRAMES:
            groups.append([])
            longest = len(lesson.mel)
        groups[-1].append(lesson)
    draw.shuffle(groups)
    yield from groups
