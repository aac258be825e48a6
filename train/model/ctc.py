"""Connectionist temporal classification: losses, and the best path.

Graves et al., "Connectionist temporal classification", 2006.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby, pairwise

from torch import Tensor, nn


def fewest_frames(target: Sequence[int]) -> int:
    """Frames that a target needs: one a token, and a blank between two that are equal.

    With fewer, its loss is infinite.
    """
    return len(target) + sum(one == two for one, two in pairwise(target))


def ctc_losses(
    logits: Tensor, frames: Tensor, targets: Tensor, lengths: Tensor, *, blank: int
) -> Tensor:
    """The loss of each row in nats, shape (rows,), float32.

    Args:
        logits: shape (rows, frames, tokens).
        frames: frames of each row that are not padding, shape (rows,).
        targets: shape (rows, longest target); padded with anything.
        lengths: tokens of each target, shape (rows,).
        blank: id of the blank.
    """
    # (frames, rows, tokens); bfloat16 would lose the sum over many frames.
    scores = logits.float().log_softmax(-1).transpose(0, 1)
    return nn.functional.ctc_loss(scores, targets, frames, lengths, blank=blank, reduction="none")


def best_path(logits: Tensor, frames: Sequence[int], *, blank: int) -> list[list[int]]:
    """The tokens of each row by greedy decoding: the best of each frame, repeats and blanks merged.

    Args:
        logits: shape (rows, frames, tokens).
        frames: frames of each row that are not padding.
        blank: id of the blank.
    """
    best = logits.argmax(-1).tolist()
    return [
        [token for token, _ in groupby(row[:count]) if token != blank]
        for row, count in zip(best, frames, strict=True)
    ]
