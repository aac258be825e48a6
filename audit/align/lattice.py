"""The alignment lattice: CTC alignment that may say no.

The states are those of CTC (Graves et al., 2006) for the transcript: its tokens, and a blank
before, between and after them. Three kinds of arc are added:

- *skip*: from the end of word i - 1 to the beginning of word i + 1: word i is not said;
- *unaligned speech*: from the end of word i - 1 into a state that follows the model's greedy
  output, and back to word i: the transcript lacks what is said there. The first gap lies before all
  words, the last one after them;
- *replace*: the same, and back to word i + 1: other speech stands in the place of word i.

Scores are Viterbi scores (of the best path; max-marginals rather than sums, which were no better at
telling defects and take longer). With A[t, s] the best score of reaching state s by frame t, and
B[t, s] that of going on from there to the end, max over t of A + B is the best path through s.

There are two passes, each forward and back. In the *single-edit* pass a path may use no arc, or
exactly one, at no cost. Its gain over the path without arcs is the evidence for that one defect. A
word that is written twice and said once is found only in this way, since a lattice that is free to
skip either copy needs neither. In the *unconstrained* pass a path may use any number of arcs, each
at a penalty in nats; unaligned speech costs one penalty for entering it and one for every token
that begins in it. Its best path is the alignment, and keeps the words that it goes through. A
replaced word shows better there under noise, because its neighbours need not suffer for it.

The penalties are the same for all models, and a weak one loses right words to them; what is kept
beside these takes their letters, and so lies in the wrong place. Therefore the words' times are
those of the path without arcs wherever the model hears about as many letters as are written there.

`problem.py` brings emission and transcript into arrays, `passes.py` runs the two passes by the
loops of `kernels.py`, `evidence.py` compares their scores, and `masked.py` finds words that noise
may hide.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from asr_gate.audit.acoustic.interface import ModelInfo
from asr_gate.audit.align.evidence import INSERTED, LEAST, deletion, insertion, substitution
from asr_gate.audit.align.passes import (
    Path,
    SingleEdit,
    Unconstrained,
    solve_single_edit,
    solve_unconstrained,
)
from asr_gate.audit.align.problem import PreparedEmission, Problem, known_letters, problem
from asr_gate.audit.records.alignment import AlignedWord, Alignment, Gap, Unalignable
from asr_gate.corpus.text.letters import Transcript
from asr_gate.corpus.utterance import Seconds, Span

MAX_CELLS = 100_000_000_000
"""Frames times tokens of one alignment: several hours of speech, several minutes of work."""
AS_MANY = 1.75
"""How many times as many letters may be heard as are written, or the other way round, where words
are placed by the path without arcs. (Each is counted two higher, as one letter is soon missed.)"""


class Places(NamedTuple):
    """The frames of a transcript's words; -1 where a word has none of its own."""

    entered: NDArray[np.int64]
    """First one of each token, shape (tokens,)."""
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]
    """First and one-past-last one of each word, shape (words,)."""


def align(
    emission: PreparedEmission, transcript: Transcript, model: ModelInfo
) -> Alignment | Unalignable:
    """Align one transcript.

    A word's evidence is divided by its letters and a constant, so that short words, which one badly
    recognised letter can sink, need more of it: the constant is 2 for a deletion, 4 for a
    substitution.

    Args:
        emission: of `prepare`.
        transcript: the words as the model's letters.
        model: blank, separator, stride and temperature.

    Returns:
        The alignment, or why there is none.
    """
    if not transcript.words:
        return Unalignable("T001", "the transcript has no letters")
    if not any(known_letters(word) for word in transcript.words):
        return Unalignable(
            "T002", f"none of its {transcript.unknown} characters is in the model's alphabet"
        )
    p = problem(emission, transcript, model)
    if p.needed > p.frames:
        return Unalignable(
            "A002", f"{p.needed} frames are needed to say it, the audio has {p.frames}"
        )
    if p.cells > MAX_CELLS:
        return Unalignable(
            "A004",
            f"{p.frames} frames times {len(p.tokens)} letters are over {MAX_CELLS:.0e}; "
            "cut the recording into utterances",
        )
    single, unconstrained = solve_single_edit(p), solve_unconstrained(p, model.temperature)
    entered = unconstrained.path.entered
    times, passed = (entered + 0.5) * model.stride, entered >= 0
    separators = p.first[1:][p.spaced[1:-1]] - 1
    gains = insertion(p, single, unconstrained)
    placed = _place(p, single.path, unconstrained.path, gains)
    between: list[Seconds | None] = [None] * (len(p.first) + 1)
    for i, j in enumerate(p.first[1:] - 1, start=1):
        if p.spaced[i] and placed.entered[j] >= 0:
            between[i] = float((placed.entered[j] + 0.5) * model.stride)
    spans = _gaps(unconstrained.path, model.stride)
    return Alignment(
        words=_words(p, single, unconstrained, placed, transcript, spans, model.stride),
        gaps=tuple(
            Gap(start, end, separator, float(gain))
            for (start, end), separator, gain in zip(spans, between, gains, strict=True)
        ),
        unaligned=tuple(_unaligned(p, unconstrained.path, model.stride)),
        letter_times=tuple(np.delete(times, separators)[np.delete(passed, separators)].tolist()),
        separator_times=tuple(times[separators][passed[separators]].tolist()),
        loss=-single.score / transcript.letters,
    )


def _place(p: Problem, strict: Path, free: Path, gains: NDArray[np.float64]) -> Places:
    """When each word is said, by the path with arcs or, see above, by the one without.

    Which one is decided for each run of words that they place differently, by what lies between
    the words beside it. Where speech between two words that are said seems untranscribed (`gains`,
    shape (words + 1,), nats), the path without arcs has no place for that speech.
    """
    places = Places(free.entered.copy(), free.starts.copy(), free.ends.copy())
    differ = (free.starts != strict.starts) | (free.ends != strict.ends)
    said = np.pad(free.starts >= 0, 1, constant_values=True)
    lacking = (gains > INSERTED) & said[:-1] & said[1:]
    edges = np.flatnonzero(np.diff(differ, prepend=False, append=False))
    for first, behind in edges.reshape(-1, 2):
        if lacking[first : behind + 1].any():
            continue
        start = strict.ends[first - 1] if first else 0
        end = strict.starts[behind] if behind < len(p.first) else p.frames
        heard = p.emission.onsets[start:end].sum() + 2
        written = p.letters[first:behind].sum() + 2
        if max(heard, written) <= AS_MANY * min(heard, written):
            places.starts[first:behind] = strict.starts[first:behind]
            places.ends[first:behind] = strict.ends[first:behind]
            # From the separator before them to that after them.
            tokens = slice(p.close[first - 1] if first else 0, p.close[behind - 1] + 1)
            places.entered[tokens] = strict.entered[tokens]
    return places


def _words(
    p: Problem,
    single: SingleEdit,
    unconstrained: Unconstrained,
    places: Places,
    transcript: Transcript,
    gaps: Sequence[Span],
    stride: Seconds,
) -> tuple[AlignedWord, ...]:
    deletions = deletion(p, single, unconstrained)
    substitutions = substitution(p, single, unconstrained)
    path, letters, said = unconstrained.path, p.letters, unconstrained.said
    starts, ends, costs = path.starts, path.ends, path.costs
    words = []
    for i, word in enumerate(transcript.words):
        known = known_letters(word)
        kept = starts[i] >= 0
        if kept:
            fit = float(costs[starts[i]] - costs[ends[i]])
        else:
            fit = min(0.0, float(said[i]) - unconstrained.score)
        start, end = gaps[i]
        placed = places.starts[i] >= 0
        if placed:
            start, end = float(places.starts[i] * stride), float(places.ends[i] * stride)
        words.append(
            AlignedWord(
                text=word.text,
                letters=known,
                start=start,
                end=end,
                placed=bool(placed),
                kept=bool(kept),
                confidence=math.exp(fit / float(letters[i])),
                deletion=float(deletions[i]) if known else LEAST,
                substitution=float(substitutions[i]) if known else LEAST,
                masked=bool(unconstrained.masked[i]),
            )
        )
    return tuple(words)


def _gaps(path: Path, stride: Seconds) -> list[Span]:
    """For each gap, the time from the word kept before it to the word kept after it."""
    frames = len(path.states)
    before = np.maximum.accumulate(np.concatenate([[0], path.ends]))
    following = np.where(path.starts < 0, frames, path.starts)
    after = np.minimum.accumulate(np.concatenate([following, [frames]])[::-1])[::-1]
    return [(float(a * stride), float(b * stride)) for a, b in zip(before, after, strict=True)]


def _unaligned(p: Problem, path: Path, stride: Seconds) -> list[Span]:
    """Stretches of unaligned speech on a path, from its first token to its last."""
    gap = np.where(path.states > 2 * len(p.tokens), path.states, 0)
    edges = np.flatnonzero(np.diff(gap, prepend=0, append=0))
    onsets = np.flatnonzero(p.emission.onsets)
    stretches = []
    for start, end in pairwise(edges):
        inside = onsets[(onsets >= start) & (onsets < end)]
        if gap[start] and len(inside):
            stretches.append((float(inside[0] * stride), float((inside[-1] + 1) * stride)))
    return stretches
