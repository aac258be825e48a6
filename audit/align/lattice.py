"""The alignment lattice: CTC alignment that may say no.

The states are those of CTC (Graves et al., 2006) for the transcript: its tokens and a blank before,
between and after them. Three kinds of arc are added:

- *skip*: from the end of word i - 1 to the beginning of word i + 1; word i is not said;
- *unclaimed speech*: from the end of word i - 1 into a state that follows the model's greedy
  output, and back to word i; the transcript lacks what is said there. The first gap lies before all
  words, the last one after them;
- *replaced*: the same, and back to word i + 1; other speech stands in the place of word i.

Scores are Viterbi's (the best path's; max-marginals rather than sums, which were no better at
telling defects and take longer). With A[t, s] the best score of reaching state s by frame t and
B[t, s] that of going on from there to the end, max over t of A + B is the best path through s.

Two passes forward and back are made. In the *strict* one a path may use no arc, or exactly one, for
nothing: its gain over the path without any is the evidence for that one defect. A word that is
spelled twice and said once is found only so, since a lattice free to skip either copy needs
neither. In the *free* one a path may use any number, each at a price in nats, unclaimed speech at
one for entering and one for every token that begins in it: its best path is the alignment, which
keeps the words that it goes through; and a replaced word in bad company (noise) shows better,
because its neighbours need not suffer for it. Where it leaves out several words in a row, and there
is sound in which they may have been said though the model heard nothing, that is no evidence that
they were not.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from asr_gate.audit.acoustic.interface import Emission, ModelInfo
from asr_gate.audit.align import kernels
from asr_gate.audit.records.alignment import AlignedWord, Alignment, Gap, Unalignable
from asr_gate.corpus.text.letters import APOSTROPHES, GERSHAYIM, Transcript, Word
from asr_gate.corpus.utterance import Seconds, Span

Floats: TypeAlias = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Penalties:
    """What the arcs cost in the unconstrained pass, nats."""

    skip: float = 4.0
    replace: float = 1.0
    """On top of the speech that stands in the word's place."""
    enter: float = 3.0
    """For entering unclaimed speech."""
    onset: float = 1.5
    """For each token that begins in unclaimed speech."""

    def scaled(self, temperature: float) -> kernels.Penalties:
        """The penalties for emissions whose logits were divided by `temperature`."""
        values = (self.skip, self.replace, self.enter, self.onset)
        return kernels.Penalties(*(np.float32(value / temperature) for value in values))


PENALTIES = Penalties()
NO_PENALTIES = Penalties(0.0, 0.0, 0.0, 0.0).scaled(1.0)

BLOCK = 24_000_000
"""Scores held at a time (4 bytes each); longer alignments are computed in blocks, the forward pass
twice. The states at the blocks' edges are held besides."""

LEAST = -100.0
"""Least evidence of a defect; also that against a word of which the model knows no letter."""

IMPOSSIBLE = -1e4
"""Stands for a log-probability of minus infinity."""

ROOM: Seconds = 0.04
"""Of sound that it takes to say a letter, and as much for each word; quick speech has 0.06."""
BESIDE: Seconds = 0.2
"""Of the sound between two words that is theirs: letters last, and the model hears them late."""

SILENT = frozenset([*APOSTROPHES, *GERSHAYIM, "-"])
"""Characters that stand for no sound, and that some models never write; or, in a romanised text,
for one that is hardly heard (ayin, hamza)."""

MAX_CELLS = 100_000_000_000
"""Frames times tokens of one alignment: several hours of speech, several minutes of work."""


@dataclass(frozen=True)
class PreparedEmission:
    """What the model heard, as the lattice needs it; transcripts of one recording share it."""

    scores: Floats
    """Relative to each frame's best token, shape (frames, tokens + 2); the last two columns are the
    wildcard and the blank."""
    onsets: Floats
    """1 where the greedy output begins a letter, shape (frames,)."""
    sound: NDArray[np.float64]
    """Seconds of speech activity before each frame and in all, shape (frames + 1,)."""


@dataclass(frozen=True)
class Problem:
    """One transcript on one emission, as arrays."""

    scores: Floats
    onsets: Floats
    sound: NDArray[np.float64]
    """Of `Heard`."""
    tokens: NDArray[np.int64]
    """Column of each token of the transcript."""
    repeat: Floats
    """-inf where a token equals the one before it and needs a blank between, else 0."""
    first: NDArray[np.int64]
    last: NDArray[np.int64]
    """Token numbers of each word's first and last letter."""
    spaced: NDArray[np.bool_]
    """Whether a separator lies in each gap, shape (words + 1,)."""

    @property
    def needed(self) -> int:
        """Frames that the transcript needs at the least."""
        return len(self.tokens) + int(np.isneginf(self.repeat).sum())

    @property
    def close(self) -> NDArray[np.int64]:
        """Token number of the separator after each word, of its last letter where there is none."""
        return self.last + self.spaced[1:]

    @property
    def arrays(self) -> kernels.Arrays:
        """What the kernels take."""
        return kernels.Arrays(
            self.scores,
            self.onsets,
            self.tokens,
            self.repeat,
            self.first,
            self.last,
            self.close,
        )

    @property
    def letters(self) -> NDArray[np.int64]:
        """Letters of each word."""
        return self.last - self.first + 1


@dataclass(frozen=True)
class Path:
    """A path through the lattice."""

    states: NDArray[np.int64]
    """Of each frame; see `kernels.trace`."""
    entered: NDArray[np.int64]
    """The frame at which it comes to each token; -1 where it never does."""
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]
    """First and one-past-last frame of each word; -1 where it is not kept."""
    costs: NDArray[np.float64]
    """Nats over the greedy output up to each frame, shape (frames + 1,); none in unclaimed
    speech."""


@dataclass(frozen=True)
class SingleEdit:
    """What the strict pass found; scores in nats relative to the greedy output."""

    score: float
    """Best path without arcs."""
    best: Floats
    """Best paths with one arc, shape (4, words + 1); rows as in `kernels`."""
    path: Path
    """The best one without arcs."""


@dataclass(frozen=True)
class Unconstrained:
    """What the free pass found, in the same terms, with any number of arcs."""

    score: float
    best: Floats
    path: Path
    masked: NDArray[np.bool_]
    """Of `_drowned`."""


def align(
    prepared: PreparedEmission, transcript: Transcript, model: ModelInfo
) -> Alignment | Unalignable:
    """Align one transcript.

    A word's evidence is divided by its letters and a constant, so that short words, which one badly
    heard letter can sink, need more of it: 2 for an unsaid word, 4 for a replaced one.

    Args:
        heard: the emission, of `hear`.
        transcript: the words as the model's letters.
        model: blank, separator, stride and temperature.

    Returns:
        The alignment, or why there is none.
    """
    if not transcript.words:
        return Unalignable("T001", "the transcript has no letters")
    if not any(_known(word) for word in transcript.words):
        return Unalignable(
            "T002", f"none of its {transcript.unknown} characters is in the model's alphabet"
        )
    p = problem(prepared, transcript, model)
    frames = len(prepared.scores)
    if p.needed > frames:
        return Unalignable(
            "A002", f"{p.needed} frames are needed to say it, the audio has {frames}"
        )
    if frames * len(p.tokens) > MAX_CELLS:
        return Unalignable(
            "A004",
            f"{frames} frames times {len(p.tokens)} letters are over {MAX_CELLS:.0e}; "
            "cut the recording into utterances",
        )
    single, unconstrained = solve_single_edit(p), solve_unconstrained(p, model.temperature)
    entered = unconstrained.path.entered
    times, passed = (entered + 0.5) * model.stride, entered >= 0
    separators = p.first[1:][p.spaced[1:-1]] - 1
    between: list[Seconds | None] = [None] * (len(p.first) + 1)
    for i, j in enumerate(p.first[1:] - 1, start=1):
        if p.spaced[i] and passed[j]:
            between[i] = float(times[j])
    spans = _gaps(unconstrained.path, model.stride)
    return Alignment(
        words=_words(p, single, unconstrained, transcript, spans, model.stride),
        gaps=tuple(
            Gap(start, end, separator, float(gain))
            for (start, end), separator, gain in zip(
                spans, between, insertion(p, single, unconstrained), strict=True
            )
        ),
        unaligned=tuple(_unaligned(p, unconstrained.path, model.stride)),
        letter_times=tuple(np.delete(times, separators)[np.delete(passed, separators)].tolist()),
        separator_times=tuple(time for time in between if time is not None),
        loss=-single.score / transcript.letters,
    )


def _words(
    p: Problem,
    single: SingleEdit,
    unconstrained: Unconstrained,
    transcript: Transcript,
    gaps: Sequence[Span],
    stride: Seconds,
) -> tuple[AlignedWord, ...]:
    evidence = deletion(p, single, unconstrained), substitution(p, single, unconstrained)
    said = _said(unconstrained)
    starts, ends, costs = (
        unconstrained.path.starts,
        unconstrained.path.ends,
        unconstrained.path.costs,
    )
    letters = p.letters
    words = []
    for i, word in enumerate(transcript.words):
        known = _known(word)
        kept = starts[i] >= 0
        if kept:
            start, end = float(starts[i] * stride), float(ends[i] * stride)
            fit = float(costs[starts[i]] - costs[ends[i]])
        else:
            (start, end), fit = gaps[i], min(0.0, float(said[i]) - unconstrained.score)
        words.append(
            AlignedWord(
                text=word.text,
                letters=known,
                start=start,
                end=end,
                kept=bool(kept),
                confidence=math.exp(fit / float(letters[i])),
                deletion=float(evidence[0][i]) if known else LEAST,
                substitution=float(evidence[1][i]) if known else LEAST,
                masked=bool(unconstrained.masked[i]),
            )
        )
    return tuple(words)


def _sounds(word: Word) -> list[str | None]:
    """The letters that stand for a sound."""
    return [letter for letter in word.letters if letter not in SILENT]


def _known(word: Word) -> int:
    """Letters that the model can hear."""
    return sum(letter is not None for letter in _sounds(word))


def _said(unconstrained: Unconstrained) -> NDArray[np.float64]:
    """Best paths that say each word, after unclaimed speech or not; shape (words + 1,)."""
    return np.asarray(
        np.maximum(unconstrained.best[kernels.KEEP], unconstrained.best[kernels.INSERT]),
        dtype=np.float64,
    )


def _gaps(path: Path, stride: Seconds) -> list[Span]:
    """Of each gap, the time from the word kept before it to the word kept after it."""
    frames = len(path.states)
    before = np.maximum.accumulate(np.concatenate([[0], path.ends]))
    following = np.where(path.starts < 0, frames, path.starts)
    after = np.minimum.accumulate(np.concatenate([following, [frames]])[::-1])[::-1]
    return [(float(a * stride), float(b * stride)) for a, b in zip(before, after, strict=True)]


def _unaligned(p: Problem, path: Path, stride: Seconds) -> list[Span]:
    """Stretches of unclaimed speech on a path, from the first token heard to the last."""
    gap = np.where(path.states > 2 * len(p.tokens), path.states, 0)
    edges = np.flatnonzero(np.diff(gap, prepend=0, append=0))
    onsets = np.flatnonzero(p.onsets)
    stretches = []
    for start, end in pairwise(edges):
        inside = onsets[(onsets >= start) & (onsets < end)]
        if gap[start] and len(inside):
            stretches.append((float(inside[0] * stride), float((inside[-1] + 1) * stride)))
    return stretches


def prepare(
    emission: Emission, model: ModelInfo, activity: Sequence[Span] | None = None
) -> PreparedEmission:
    """Prepare an emission for the lattice.

    A character that the model does not know is a wildcard, which costs what an average letter
    costs: the expected log-probability, at each frame, of a letter drawn from the letters' own
    distribution there. A character that stands for no sound is a blank.

    Args:
        emission: log-probabilities, shape (frames, tokens).
        model: blank, separator and stride.
        activity: where speech activity is, in order; None: not known, and no word drowns.
    """
    frames, columns = emission.shape
    scores = np.empty((frames, columns + 2), np.float32)
    np.subtract(emission, emission.max(axis=1, keepdims=True), out=scores[:, :columns])
    np.maximum(scores[:, :columns], IMPOSSIBLE, out=scores[:, :columns])
    silent = [c for c, token in enumerate(model.tokens) if c == model.blank or token in SILENT]
    scores[:, columns + 1] = scores[:, silent].max(axis=1)
    special = silent if model.space is None else [*silent, model.space]
    logs = np.delete(scores[:, :columns], special, axis=1)
    weights = np.exp(logs - logs.max(axis=1, keepdims=True))
    weights /= weights.sum(axis=1, keepdims=True)
    # A letter of no probability has no share in the mean either.
    shares = np.multiply(weights, logs, out=np.zeros_like(logs), where=weights > 0)
    scores[:, columns] = shares.sum(axis=1)
    greedy = emission.argmax(axis=1)
    begins = np.ones(frames, np.bool_)
    begins[1:] = greedy[1:] != greedy[:-1]
    for column in special:
        begins &= greedy != column
    sound = _seconds_before(np.arange(frames + 1) * model.stride, activity or ())
    return PreparedEmission(scores, begins.astype(np.float32), sound)


def _seconds_before(times: NDArray[np.float64], spans: Sequence[Span]) -> NDArray[np.float64]:
    """Seconds that lie in any of the spans and before each time; the spans are in order."""
    bounds = np.array([(0.0, 0.0), *spans])
    inside = np.cumsum(bounds[:, 1] - bounds[:, 0])
    known = np.stack([np.concatenate([[0.0], inside[:-1]]), inside], axis=1)
    return np.asarray(np.interp(times, bounds.ravel(), known.ravel()))


def problem(prepared: PreparedEmission, transcript: Transcript, model: ModelInfo) -> Problem:
    """Bring a transcript into arrays.

    Args:
        heard: the emission.
        transcript: at least one word.
        model: of the emission.
    """
    wildcard, blank = prepared.scores.shape[1] - 2, prepared.scores.shape[1] - 1
    column_of: dict[str | None, int] = {token: c for c, token in enumerate(model.tokens)}
    column_of[model.tokens[model.blank]] = blank
    column_of[None] = wildcard
    tokens: list[int] = []
    first: list[int] = []
    last: list[int] = []
    for number, word in enumerate(transcript.words):
        if number and model.space is not None:
            tokens.append(model.space)
        first.append(len(tokens))
        tokens += [column_of[letter] for letter in _sounds(word)] or [blank]
        last.append(len(tokens) - 1)
    columns = np.array(tokens, np.int64)
    repeat = np.zeros(len(columns), np.float32)
    repeat[1:][columns[1:] == columns[:-1]] = -np.inf
    spaced = np.full(len(first) + 1, model.space is not None)
    spaced[[0, -1]] = False
    return Problem(
        scores=prepared.scores,
        onsets=prepared.onsets,
        sound=prepared.sound,
        tokens=columns,
        repeat=repeat,
        first=np.array(first, np.int64),
        last=np.array(last, np.int64),
        spaced=spaced,
    )


def solve_single_edit(p: Problem, near: range | None = None) -> SingleEdit:
    """The strict pass: the best path without arcs, and the best ones with exactly one.

    Arcs cost nothing here, since there is nothing to choose between.

    Args:
        p: the transcript.
        near: gaps for which, and for the words after which, best paths with an arc are looked for;
            None: all. Elsewhere, evidence means nothing; at the first and the last of them, it
            lacks a neighbour to be compared with.
    """
    score, best, states = _passes(p, NO_PENALTIES, near, arcs=False)
    return SingleEdit(score, best, _path(p, states))


def solve_unconstrained(p: Problem, temperature: float, near: range | None = None) -> Unconstrained:
    """The free pass: the best paths with any arcs.

    Time is linear in frames times tokens; so is memory up to `BLOCK`, and beyond that it grows with
    the square root. `near` is as in `solve_strict`.
    """
    score, best, states = _passes(p, PENALTIES.scaled(temperature), near, arcs=True)
    path = _path(p, states)
    return Unconstrained(score, best, path, _masked(p, path))


def deletion(p: Problem, single: SingleEdit, unconstrained: Unconstrained) -> NDArray[np.float64]:
    """Evidence a word that it is not said, nats a letter; shape (words,).

    The gain in the strict pass. A defect beside it makes a word gain too; so of a word that the
    free pass keeps, and that gains less than a neighbour, only the gain in the free pass counts,
    where the neighbour may be left out instead. For a drowned one there is none.
    """
    return _but_masked(_gain_of_skipping(p, single, unconstrained), unconstrained)


def _gain_of_skipping(
    p: Problem, single: SingleEdit, unconstrained: Unconstrained
) -> NDArray[np.float64]:
    """Of `unsaid`, drowned or not."""
    instead = (unconstrained.best[kernels.SKIP] - _said(unconstrained))[:-1] / (p.letters + 2)
    return _local(deletion_alone(p, single), instead, unconstrained.path.starts < 0)


def deletion_alone(p: Problem, single: SingleEdit) -> NDArray[np.float64]:
    """The gain in the strict pass; `unsaid` itself where it is of `peaks` and no word drowns."""
    gain = single.best[kernels.SKIP, :-1].astype(np.float64) - single.score
    return np.asarray(np.maximum(LEAST, gain / (p.letters + 2)))


def _but_masked(evidence: NDArray[np.float64], unconstrained: Unconstrained) -> NDArray[np.float64]:
    return np.where(unconstrained.masked, np.minimum(evidence, 0.0), evidence)


def _masked(p: Problem, path: Path) -> NDArray[np.bool_]:
    """Which words may be said without the model's hearing them; shape (words,).

    Several in a row that the best path leaves out, in a stretch with sound for which the greedy
    output has next to nothing, and enough of it to have said them.
    """
    starts, ends = path.starts, path.ends
    found = np.zeros(len(starts), np.bool_)
    edges = np.flatnonzero(np.diff(starts < 0, prepend=False, append=False))
    for first, behind in edges.reshape(-1, 2):
        if behind - first > 1:
            start = ends[first - 1] if first else 0
            end = starts[behind] if behind < len(starts) else len(path.states)
            found[first:behind] = _drown(p, first, behind, start, end)
    return found


def _drown(p: Problem, first: int, behind: int, start: int, end: int) -> bool:
    """Whether the words from one to before another may drown between two frames."""
    letters = int((p.letters[first:behind] + 1).sum())
    missed = max(0.0, 1 - float(p.onsets[start:end].sum()) / letters)
    sound = float(p.sound[end] - p.sound[start]) - BESIDE
    return missed * sound > ROOM * letters


def may_be_masked(p: Problem, i: int, own: Alignment, stride: Seconds) -> bool:
    """Whether word i may drown, whatever the free pass finds.

    A word drowns only together with one beside it. If the best path leaves out both, then without
    word i, and a skip cheaper, it is the best path of the other transcript: a better one would be a
    better one here, too, as no word is dearer to leave out than by a skip. So `own` leaves out the
    word beside it as well. (Of paths that score the same, `own` may have taken another.)

    Args:
        p: a transcript with a word more than another.
        i: that word.
        own: the alignment of the other transcript.
        stride: of the model.
    """
    first, behind = i, i + 1
    while first > 0 and not own.words[first - 1].kept:
        first -= 1
    while behind <= len(own.words) and not own.words[behind - 1].kept:
        behind += 1
    start, end = (round(time / stride) for time in (own.gaps[i].start, own.gaps[i].end))
    return behind - first > 1 and _drown(p, first, behind, start, end)


def substitution(
    p: Problem, single: SingleEdit, unconstrained: Unconstrained
) -> NDArray[np.float64]:
    """Evidence a word that other speech stands in its place, nats a letter; shape (words,).

    The mean of what the word costs over the greedy output, on the free path or, if that leaves it
    out, on the strict one, and of what replacing it gains in the free pass; less a quarter of the
    evidence that nothing is said there. Where the model hears badly, right words cost much too, but
    other letters more: so all of it is multiplied by what the word costs on the strict path over
    what its letters backwards would (at most 1), both between the words beside it.
    """
    strictly, freely = single.path, unconstrained.path
    before = np.concatenate([[0], strictly.ends[:-1]])
    after = np.concatenate([strictly.starts[1:], [len(strictly.states)]])
    backwards = -kernels.score_reversed(p.arrays, before, after)
    # A cost under one nat is as good as none.
    between = strictly.costs[after] - strictly.costs[before]
    share = np.minimum(1, between / np.maximum(1, backwards))
    left_out = strictly.costs[strictly.ends] - strictly.costs[strictly.starts]
    kept = freely.costs[freely.ends] - freely.costs[freely.starts]
    cost = np.where(freely.starts < 0, left_out, kept)
    gain = unconstrained.best[kernels.REPLACE, :-1].astype(np.float64) - _said(unconstrained)[:-1]
    nothing = np.maximum(0, _gain_of_skipping(p, single, unconstrained))
    evidence = (cost + gain) / 2 / (p.letters + 4) - nothing / 4
    return _but_masked(np.maximum(LEAST, evidence * share), unconstrained)


def insertion(p: Problem, single: SingleEdit, unconstrained: Unconstrained) -> NDArray[np.float64]:
    """Evidence a gap of speech that the transcript lacks, nats; shape (words + 1,).

    The gain in the strict pass, or in the free one, as with `unsaid`.
    """
    instead = (
        unconstrained.best[kernels.INSERT].astype(np.float64) - unconstrained.best[kernels.KEEP]
    )
    taken = np.zeros(len(instead), np.bool_)
    gap = unconstrained.path.states - 2 * len(p.tokens) - 1
    taken[gap[gap >= 0]] = True
    return _local(insertion_alone(single), instead, taken)


def insertion_alone(single: SingleEdit) -> NDArray[np.float64]:
    """The gain in the strict pass, of which `speech` speaks; that itself where it is of `peaks`."""
    return np.asarray(
        np.maximum(LEAST, single.best[kernels.INSERT].astype(np.float64) - single.score)
    )


def peaks(gain: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which gains are the highest among their neighbours."""
    padded = np.concatenate([[-np.inf], gain, [-np.inf]])
    return (gain >= padded[:-2]) & (gain >= padded[2:])


def _local(
    gain: NDArray[np.float64], instead: NDArray[np.float64], sure: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Gains that are sure or highest among their neighbours; of others the smaller of the two."""
    least = np.maximum(LEAST, np.minimum(gain, instead))
    return np.where(sure | peaks(gain), gain, least)


def text_loss(prepared: PreparedEmission, transcript: Transcript, model: ModelInfo) -> float | None:
    """What a transcript costs over the greedy output, nats a letter; None: it does not fit."""
    p = problem(prepared, transcript, model)
    if p.needed > len(prepared.scores):
        return None
    score, _, _ = _passes(p, NO_PENALTIES, range(0), arcs=False, back=False)
    return -score / transcript.letters


def _path(p: Problem, states: NDArray[np.int64]) -> Path:
    entered, left, costs = kernels.follow(p.arrays, states)
    return Path(states, entered, entered[p.first], left[p.last], costs)


def _passes(
    p: Problem,
    penalties: kernels.Penalties,
    near: range | None = None,
    *,
    arcs: bool,
    back: bool = True,
) -> tuple[float, Floats, NDArray[np.int64]]:
    """One pass, or half of one, for the gaps `near`; returns score, best paths and states."""
    frames, count, words = len(p.scores), len(p.tokens), len(p.first)
    near = range(words + 1) if near is None else near
    # Without going back nothing is held but the last frame.
    held = max(BLOCK // (2 * count + 3 * words + 4), math.isqrt(frames)) if back else 256
    score, best, states = kernels.run_pass(
        p.arrays, penalties, arcs, (near.start, near.stop), back, min(frames, held)
    )
    return float(score), best, states
