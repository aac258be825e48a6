"""The two passes through the lattice; `lattice.py` says what they are for."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from asr_gate.audit.acoustic.interface import ModelInfo
from asr_gate.audit.align import arrays
from asr_gate.audit.align.masked import masked_words
from asr_gate.audit.align.problem import PreparedEmission, Problem, problem
from asr_gate.corpus.text.letters import Transcript


@dataclass(frozen=True, slots=True)
class Penalties:
    """What the arcs cost in the unconstrained pass, nats."""

    skip: float = 4.0
    replace: float = 1.0
    """On top of the speech that stands in the word's place."""
    enter: float = 3.0
    """For entering unaligned speech."""
    onset: float = 1.5
    """For each token that begins in unaligned speech."""

    def scaled(self, temperature: float) -> arrays.Penalties:
        """The penalties for emissions whose logits were divided by `temperature`."""
        values = (self.skip, self.replace, self.enter, self.onset)
        return arrays.Penalties(*(np.float32(value / temperature) for value in values))


PENALTIES = Penalties()
NO_PENALTIES = Penalties(0.0, 0.0, 0.0, 0.0).scaled(1.0)

BLOCK = 24_000_000
"""Scores held at a time (4 bytes each). Longer alignments are computed in blocks, the forward pass
twice; the states at the blocks' edges are held besides."""


@dataclass(frozen=True)
class Path:
    """A path through the lattice."""

    states: NDArray[np.int64]
    """Of each frame; see `kernels.trace`."""
    entered: NDArray[np.int64]
    """The frame at which it comes to each token; -1 where it never does."""
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]
    """First and one-past-last frame of each word; -1 where the word is left out."""
    costs: NDArray[np.float64]
    """Nats over the greedy output up to each frame, shape (frames + 1,); unaligned speech costs
    none."""


@dataclass(frozen=True)
class SingleEdit:
    """Result of the single-edit pass; scores in nats relative to the greedy output."""

    score: float
    """Best path without arcs."""
    best: arrays.Floats
    """Best paths with one arc, shape (4, words + 1); rows as in `kernels`."""
    path: Path
    """The best one without arcs."""


@dataclass(frozen=True)
class Unconstrained:
    """Result of the unconstrained pass, in the same terms, with any number of arcs."""

    score: float
    best: arrays.Floats
    path: Path
    masked: NDArray[np.bool_]
    """Words that noise may mask, shape (words,)."""

    @property
    def said(self) -> NDArray[np.float64]:
        """Best paths that say each word, after unaligned speech or not; shape (words + 1,)."""
        best = np.maximum(self.best[arrays.KEEP], self.best[arrays.INSERT])
        return np.asarray(best, np.float64)


def solve_single_edit(p: Problem, near: range | None = None) -> SingleEdit:
    """The single-edit pass: the best path without arcs, and the best ones with exactly one.

    Arcs cost nothing here, since there is nothing to choose between.

    Args:
        p: the transcript.
        near: gaps for which, and for the words after which, best paths with an arc are computed;
            None: all. Evidence elsewhere means nothing, and at the first and the last of them it
            has one neighbour less to be compared with.
    """
    score, best, states = _run(p, NO_PENALTIES, near, arcs=False)
    return SingleEdit(score, best, _path(p, states))


def solve_unconstrained(p: Problem, temperature: float, near: range | None = None) -> Unconstrained:
    """The unconstrained pass: the best paths with any arcs.

    Time is linear in frames times tokens. So is memory up to `BLOCK`; beyond that it grows with the
    square root. `near` is as in `solve_single_edit`.
    """
    score, best, states = _run(p, PENALTIES.scaled(temperature), near, arcs=True)
    path = _path(p, states)
    return Unconstrained(score, best, path, masked_words(p, path.starts, path.ends))


def text_loss(emission: PreparedEmission, transcript: Transcript, model: ModelInfo) -> float | None:
    """What a transcript costs over the greedy output, nats a letter; None: it does not fit."""
    p = problem(emission, transcript, model)
    if p.needed > p.frames:
        return None
    score, _, _ = _run(p, NO_PENALTIES, range(0), arcs=False, back=False)
    return -score / transcript.letters


def _path(p: Problem, states: NDArray[np.int64]) -> Path:
    from asr_gate.audit.align import kernels

    entered, left, costs = kernels.follow(p.arrays, states)
    return Path(states, entered, entered[p.first], left[p.last], costs)


def _run(
    p: Problem,
    penalties: arrays.Penalties,
    near: range | None = None,
    *,
    arcs: bool,
    back: bool = True,
) -> tuple[float, arrays.Floats, NDArray[np.int64]]:
    """One pass, or its way forward alone, for the gaps `near`; score, best paths and states."""
    from asr_gate.audit.align import kernels

    frames, count, words = p.frames, len(p.tokens), len(p.first)
    near = range(words + 1) if near is None else near
    # Without going back nothing is held but the last frame.
    held = max(BLOCK // (2 * count + 3 * words + 4), math.isqrt(frames)) if back else 256
    score, best, states = kernels.run_pass(
        p.arrays, penalties, arcs, (near.start, near.stop), back, min(frames, held)
    )
    return float(score), best, states
