"""Evidence of a defect at each word and gap, from the two passes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from asr_gate.audit.acoustic.interface import ModelInfo
from asr_gate.audit.align.arrays import INSERT, KEEP, REPLACE, SKIP
from asr_gate.audit.align.masked import may_be_masked
from asr_gate.audit.align.passes import (
    SingleEdit,
    Unconstrained,
    solve_single_edit,
    solve_unconstrained,
)
from asr_gate.audit.align.problem import PreparedEmission, Problem, problem
from asr_gate.audit.records.alignment import Alignment
from asr_gate.corpus.text.letters import Transcript

Edit: TypeAlias = Literal["deletion", "insertion", "substitution"]
"""What a place may have: a word that is not said, speech that is not written, other speech."""

INSERTED = 3.0
"""Insertion score, nats, from which speech seems untranscribed: odds of 20 to 1."""
LEAST = -100.0
"""Least evidence of a defect; also that against a word of which the model knows no letter."""


def deletion(p: Problem, single: SingleEdit, unconstrained: Unconstrained) -> NDArray[np.float64]:
    """Evidence for each word that it is not said, nats a letter; shape (words,).

    It is the gain in the single-edit pass. A defect beside a word makes the word gain too. So for a
    word that the unconstrained pass keeps, and that gains less than a neighbour, only the gain in
    the unconstrained pass counts, where the neighbour may be left out instead. For a masked word
    there is no evidence.
    """
    return _none_if_masked(_gain_of_skipping(p, single, unconstrained), unconstrained)


def _gain_of_skipping(
    p: Problem, single: SingleEdit, unconstrained: Unconstrained
) -> NDArray[np.float64]:
    """As `deletion`, for masked words too."""
    instead = (unconstrained.best[SKIP] - unconstrained.said)[:-1] / (p.letters + 2)
    return _local(_deletion_alone(p, single), instead, unconstrained.path.starts < 0)


def _deletion_alone(p: Problem, single: SingleEdit) -> NDArray[np.float64]:
    """The gain in the single-edit pass: `deletion` at its peaks, where no word is masked."""
    gain = single.best[SKIP, :-1].astype(np.float64) - single.score
    return np.asarray(np.maximum(LEAST, gain / (p.letters + 2)))


def _none_if_masked(
    evidence: NDArray[np.float64], unconstrained: Unconstrained
) -> NDArray[np.float64]:
    return np.where(unconstrained.masked, np.minimum(evidence, 0.0), evidence)


def substitution(
    p: Problem, single: SingleEdit, unconstrained: Unconstrained
) -> NDArray[np.float64]:
    """Evidence for each word that other speech stands in its place, nats a letter; shape (words,).

    It is the mean of two numbers: what the word costs over the greedy output, on the unconstrained
    path or, if that leaves it out, on the single-edit one; and what replacing it gains in the
    unconstrained pass. A quarter of the evidence that nothing is said there is taken off. Where the
    model recognises badly, right words cost much too, but other letters cost more: so all of it is
    multiplied by what the word costs on the single-edit path over what its letters backwards would
    (at most 1), both between the words beside it.
    """
    from asr_gate.audit.align import kernels

    strict, free = single.path, unconstrained.path
    before = np.concatenate([[0], strict.ends[:-1]])
    after = np.concatenate([strict.starts[1:], [p.frames]])
    backwards = -kernels.score_reversed(p.arrays, before, after)
    # A cost under one nat is as good as none.
    between = strict.costs[after] - strict.costs[before]
    share = np.minimum(1, between / np.maximum(1, backwards))
    left_out = strict.costs[strict.ends] - strict.costs[strict.starts]
    kept = free.costs[free.ends] - free.costs[free.starts]
    cost = np.where(free.starts < 0, left_out, kept)
    replaced = unconstrained.best[REPLACE, :-1].astype(np.float64)
    gain = replaced - unconstrained.said[:-1]
    nothing = np.maximum(0, _gain_of_skipping(p, single, unconstrained))
    evidence = (cost + gain) / 2 / (p.letters + 4) - nothing / 4
    return _none_if_masked(np.maximum(LEAST, evidence * share), unconstrained)


def insertion(p: Problem, single: SingleEdit, unconstrained: Unconstrained) -> NDArray[np.float64]:
    """Evidence for each gap of speech that the transcript lacks, nats; shape (words + 1,).

    The gain in the single-edit pass or in the unconstrained one, as with `deletion`.
    """
    best = unconstrained.best
    instead = best[INSERT].astype(np.float64) - best[KEEP]
    taken = np.zeros(len(instead), np.bool_)
    gap = unconstrained.path.states - 2 * len(p.tokens) - 1
    taken[gap[gap >= 0]] = True
    return _local(_insertion_alone(single), instead, taken)


def _insertion_alone(single: SingleEdit) -> NDArray[np.float64]:
    """The gain in the single-edit pass: `insertion` at its peaks."""
    gain = single.best[INSERT].astype(np.float64) - single.score
    return np.asarray(np.maximum(LEAST, gain))


def _peaks(gain: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which gains are the highest among their neighbours."""
    padded = np.concatenate([[-np.inf], gain, [-np.inf]])
    return (gain >= padded[:-2]) & (gain >= padded[2:])


def _local(
    gain: NDArray[np.float64], instead: NDArray[np.float64], sure: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Gains that are sure or highest among their neighbours; of others the smaller of the two."""
    least = np.maximum(LEAST, np.minimum(gain, instead))
    return np.where(sure | _peaks(gain), gain, least)


def strongest(
    edit: Edit,
    places: range,
    emission: PreparedEmission,
    transcript: Transcript,
    own: Alignment,
    model: ModelInfo,
    *,
    max_cells: int,
) -> float | None:
    """The strongest evidence at some words or gaps of a transcript, as `align` would find it.

    It is quicker than `align`: the passes compute what is near those places alone, and mostly the
    single-edit pass is enough.

    Args:
        edit: what is looked for.
        places: numbers of words, or of gaps for an insertion.
        emission: the recording's.
        transcript: differs from the recording's own at those places alone.
        own: alignment of the recording's own transcript.
        model: of the emission.
        max_cells: greatest number of frames times tokens.

    Returns:
        None: the transcript does not fit into the recording, or exceeds `max_cells`.
    """
    p = problem(emission, transcript, model)
    if p.needed > p.frames or p.cells > max_cells:
        return None
    near = range(max(0, places.start - 1), min(len(p.first), places.stop) + 1)
    single = solve_single_edit(p, near)
    here = slice(places.start, places.stop)
    if edit != "substitution":
        gain = _insertion_alone(single) if edit == "insertion" else _deletion_alone(p, single)
        best = places.start + int(gain[here].argmax())
        masked = edit == "deletion" and may_be_masked(p, best, own, model.stride)
        if _peaks(gain)[best] and not masked:
            return float(gain[best])
    found = _OF[edit](p, single, solve_unconstrained(p, model.temperature, near))
    return float(found[here].max())


def strongest_of_each(
    edits: Sequence[Edit],
    words: range,
    emission: PreparedEmission,
    transcript: Transcript,
    model: ModelInfo,
    *,
    max_cells: int,
) -> dict[Edit, float] | None:
    """The strongest evidence of several edits at some words and the gaps around each of them.

    Args:
        edits: what is looked for.
        words: their numbers; at least one.
        emission, transcript, model, max_cells: as in `strongest`.

    Returns:
        By edit; None as in `strongest`.
    """
    p = problem(emission, transcript, model)
    if p.needed > p.frames or p.cells > max_cells:
        return None
    near = range(max(0, words.start - 1), min(len(p.first), words.stop + 1) + 1)
    single = solve_single_edit(p, near)
    unconstrained = solve_unconstrained(p, model.temperature, near)
    found = {}
    for edit in edits:
        values = _OF[edit](p, single, unconstrained)
        found[edit] = float(values[words.start : words.stop + (edit == "insertion")].max())
    return found


_OF: dict[Edit, Callable[[Problem, SingleEdit, Unconstrained], NDArray[np.float64]]] = {
    "deletion": deletion,
    "insertion": insertion,
    "substitution": substitution,
}
