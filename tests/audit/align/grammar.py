"""The lattice once more, one path at a time, as the docstring of `audit.align.lattice` says it.

A place is where a path is in one frame: ("token", j), ("blank", j) before token j, or ("speech", i)
in gap i; ("start", 0) is before the first frame.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from asr_gate.audit.align import kernels
from asr_gate.audit.align.problem import Problem

Location = tuple[str, int]
Uses = tuple[tuple[int, int], ...]
"""What a path does: pairs of a row of `best` and a word or gap."""


class Penalties(NamedTuple):
    """Nats."""

    skip: float
    replace: float
    enter: float
    onset: float


class Step(NamedTuple):
    """One way to a place; `arcs` counts the excursions and the words left out."""

    place: Location
    price: float
    arcs: int
    uses: Uses


def place_of(state: int, tokens: int) -> Location:
    """A state as `kernels.trace` numbers it."""
    if state > 2 * tokens:
        return "speech", state - 2 * tokens - 1
    return ("token" if state % 2 else "blank"), state // 2


def gap_after(p: Problem, place: Location) -> int | None:
    """The gap in which a path stands that has ended one word and not begun the next."""
    kind, j = place
    if kind == "start" or (kind == "blank" and j == 0):
        return 0
    for i, last in enumerate(p.last.tolist(), start=1):
        ends = [("token", last), ("blank", last + 1)]
        if p.spaced[i]:
            ends += [("token", last + 1), ("blank", last + 2)]
        if place in ends:
            return i
    return None


def begins(p: Problem, first: int, after: int, penalties: Penalties) -> Iterator[Step]:
    """Begin word `after` or a later one, those from `first` on left out."""
    for k in range(first, len(p.first)):
        left_out = tuple((kernels.SKIP, i) for i in range(first, k))
        if k >= after:
            yield Step(
                ("token", int(p.first[k])),
                penalties.skip * len(left_out),
                len(left_out),
                (*left_out, (kernels.KEEP, k)),
            )


def steps(p: Problem, place: Location, penalties: Penalties) -> Iterator[Step]:
    """Where a path may be in the next frame; onsets are not counted."""
    kind, j = place
    word_at = {int(token): i for i, token in enumerate(p.first)}

    def enter_token(k: int) -> Step:
        uses: Uses = ((kernels.KEEP, word_at[k]),) if k in word_at else ()
        return Step(("token", k), 0.0, 0, uses)

    if kind == "speech":
        yield Step(place, 0.0, 0, ())
        if j < len(p.first):
            yield Step(("token", int(p.first[j])), 0.0, 0, ((kernels.INSERT, j),))
            for step in begins(p, j + 1, j + 1, penalties):
                uses = ((kernels.REPLACE, j), *step.uses)
                yield Step(step.place, step.price + penalties.replace, step.arcs, uses)
        return
    if kind == "start":
        yield Step(("blank", 0), 0.0, 0, ())
        yield enter_token(0)
    elif kind == "blank":
        yield Step(place, 0.0, 0, ())
        if j < len(p.tokens):
            yield enter_token(j)
    else:
        yield Step(place, 0.0, 0, ())
        yield Step(("blank", j + 1), 0.0, 0, ())
        if j + 1 < len(p.tokens) and p.repeat[j + 1] == 0:
            yield enter_token(j + 1)
    gap = gap_after(p, place)
    if gap is not None:
        yield from begins(p, gap, gap + 1, penalties)
        yield Step(("speech", gap), penalties.enter, 1, ())


def endings(p: Problem, place: Location, penalties: Penalties) -> Iterator[Step]:
    """How a path may end after the last frame."""
    words = len(p.first)
    gap = place[1] if place[0] == "speech" else gap_after(p, place)
    if gap is None:
        return
    if gap == words:
        row = kernels.INSERT if place[0] == "speech" else kernels.KEEP
        yield Step(place, 0.0, 0, ((row, words),))
        return
    uses: list[tuple[int, int]] = []
    price = 0.0
    if place[0] == "speech":
        uses.append((kernels.REPLACE, gap))
        price, gap = penalties.replace, gap + 1
    left_out = [(kernels.SKIP, i) for i in range(gap, words)]
    price += penalties.skip * len(left_out)
    yield Step(place, price, len(left_out), (*uses, *left_out, (kernels.KEEP, words)))


def emitted(p: Problem, place: Location, frame: int, penalties: Penalties) -> float:
    """Score of being at a place in a frame."""
    kind, j = place
    if kind == "speech":
        return -penalties.onset * float(p.emission.onsets[frame])
    column = p.emission.scores.shape[1] - 1 if kind == "blank" else int(p.tokens[j])
    return float(p.emission.scores[frame, column])


class Found(NamedTuple):
    """One whole path."""

    score: float
    arcs: int
    uses: Uses


def all_paths(p: Problem, penalties: Penalties) -> Iterator[Found]:
    """Every path; there are many."""

    def walk(frame: int, place: Location, score: float, arcs: int, uses: Uses) -> Iterator[Found]:
        if frame == len(p.emission.scores):
            for end in endings(p, place, penalties):
                yield Found(score - end.price, arcs + end.arcs, uses + end.uses)
            return
        for step in steps(p, place, penalties):
            here = score - step.price + emitted(p, step.place, frame, penalties)
            yield from walk(frame + 1, step.place, here, arcs + step.arcs, uses + step.uses)

    yield from walk(0, ("start", 0), 0.0, 0, ())


def best_of(p: Problem, penalties: Penalties, most_arcs: int | None) -> tuple[float, np.ndarray]:
    """Score and `best` as the kernels should find them.

    Args:
        p: a tiny problem.
        prices: of the arcs.
        most_arcs: 1 for the strict pass, whose score is of paths without any; None: no limit.
    """
    score = -np.inf
    best = np.full((4, len(p.first) + 1), -np.inf)
    for path in all_paths(p, penalties):
        if most_arcs is not None and path.arcs > most_arcs:
            continue
        if most_arcs is None or path.arcs == 0:
            score = max(score, path.score)
        for row, i in path.uses:
            # In the strict pass a path with an arc is evidence for that arc alone.
            if most_arcs is None or path.arcs == (row != kernels.KEEP):
                best[row, i] = max(best[row, i], path.score)
    return score, best


def score_of(p: Problem, states: np.ndarray, penalties: Penalties) -> float:
    """Score of one path, given as a state a frame; -inf where it is no path."""
    score, place = 0.0, ("start", 0)
    for frame, state in enumerate(states.tolist()):
        to = place_of(state, len(p.tokens))
        ways = [step.price for step in steps(p, place, penalties) if step.place == to]
        score += emitted(p, to, frame, penalties) - min(ways, default=np.inf)
        place = to
    return score - min((end.price for end in endings(p, place, penalties)), default=np.inf)
