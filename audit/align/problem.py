"""What the lattice works on: an emission and a transcript, brought into arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from asr_gate.audit.acoustic.interface import Emission, ModelInfo
from asr_gate.audit.align.arrays import Arrays, Floats
from asr_gate.corpus.text.letters import APOSTROPHES, GERSHAYIM, Transcript, Word
from asr_gate.corpus.utterance import Span

IMPOSSIBLE = -1e4
"""Stands for a log-probability of minus infinity."""

SILENT = frozenset([*APOSTROPHES, *GERSHAYIM, "-"])
"""Characters that stand for no sound, and that some models never write; or, in a romanised text,
for one that is hardly audible (ayin, hamza)."""

VOWEL_LETTERS = frozenset("וי")
"""Hebrew letters that stand for vowels in the full spelling alone (ktiv male, not ktiv haser), so
that the same word is written with them and without."""

ALIKE = {"א": "אע", "ע": "אע", "ט": "טת", "ת": "טת", "ק": "קכ", "כ": "כקחך", "ך": "ךכח", "ח": "חכך"}
"""Hebrew letters with those that most people say alike today: which of them is written cannot be
heard, so that each is as likely as all of them together."""

UNWRITTEN = 1.0
"""What it costs to pass over one inside a word, nats. That halves what the other spelling costs
people's speech; without a cost it would be nothing, but wrong texts would fit better, too."""


@dataclass(frozen=True)
class PreparedEmission:
    """One recording's emission as the lattice needs it; all its transcripts share it."""

    scores: Floats
    """Relative to each frame's best token. Columns: the tokens, again those of `VOWEL_LETTERS`, as
    what may be passed over, the wildcard, and the blank."""
    onsets: Floats
    """1 where the greedy output begins a letter, shape (frames,)."""
    sound: NDArray[np.float64]
    """Seconds of speech activity before each frame, and in all; shape (frames + 1,)."""

    def part(self, first: int, end: int) -> PreparedEmission:
        """The frames from one to before another, as if the recording were cut there.

        But the model heard the rest, too, so the frames next to a cut differ from those of a
        recording that is cut.
        """
        sound = self.sound[first : end + 1] - self.sound[first]
        return PreparedEmission(self.scores[first:end], self.onsets[first:end], sound)


@dataclass(frozen=True)
class Problem:
    """One transcript on one emission, as arrays."""

    emission: PreparedEmission
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
    def frames(self) -> int:
        """Frames of the emission."""
        return len(self.emission.scores)

    @property
    def cells(self) -> int:
        """Frames times tokens: time and memory grow with it."""
        return self.frames * len(self.tokens)

    @property
    def needed(self) -> int:
        """The least number of frames in which the transcript can be said."""
        return len(self.tokens) + int(np.isneginf(self.repeat).sum())

    @property
    def close(self) -> NDArray[np.int64]:
        """Token number of the separator after each word, or of its last letter without one."""
        return self.last + self.spaced[1:]

    @property
    def letters(self) -> NDArray[np.int64]:
        """Letters of each word."""
        return self.last - self.first + 1

    @cached_property
    def arrays(self) -> Arrays:
        """What the kernels take."""
        return Arrays(
            self.emission.scores,
            self.emission.onsets,
            self.tokens,
            self.repeat,
            self.first,
            self.last,
            self.close,
        )


def prepare(
    emission: Emission, model: ModelInfo, activity: Sequence[Span] | None = None
) -> PreparedEmission:
    """Prepare an emission for the lattice.

    A character that the model does not know is a wildcard. It costs what an average letter costs:
    the expected log-probability, at each frame, of a letter drawn from the letters' own
    distribution there. A character that stands for no sound is a blank. A vowel letter inside a
    word may be a blank, at a cost. Letters of `ALIKE` share their probability.

    Args:
        emission: log-probabilities, shape (frames, tokens).
        model: blank, separator and stride.
        activity: where speech activity is, in order; None: not known, and no word counts as masked.
    """
    emission = _by_sound(emission, model)
    frames, columns = emission.shape
    vowels = _vowels(model)
    scores = np.empty((frames, columns + len(vowels) + 2), np.float32)
    np.subtract(emission, emission.max(axis=1, keepdims=True), out=scores[:, :columns])
    np.maximum(scores[:, :columns], IMPOSSIBLE, out=scores[:, :columns])
    silent = [c for c, token in enumerate(model.tokens) if c == model.blank or token in SILENT]
    scores[:, -1] = scores[:, silent].max(axis=1)
    special = silent if model.space is None else [*silent, model.space]
    logs = np.delete(scores[:, :columns], special, axis=1)
    weights = np.exp(logs - logs.max(axis=1, keepdims=True))
    weights /= weights.sum(axis=1, keepdims=True)
    # A letter of no probability has no share in the mean either.
    shares = np.multiply(weights, logs, out=np.zeros_like(logs), where=weights > 0)
    scores[:, -2] = shares.sum(axis=1)
    unwritten = scores[:, -1] - np.float32(UNWRITTEN / model.temperature)
    for place, vowel in enumerate(vowels, start=columns):
        np.maximum(scores[:, vowel], unwritten, out=scores[:, place])
    greedy = emission.argmax(axis=1)
    begins = np.ones(frames, np.bool_)
    begins[1:] = greedy[1:] != greedy[:-1]
    for column in special:
        begins &= greedy != column
    sound = _seconds_before(np.arange(frames + 1) * model.stride, activity or ())
    return PreparedEmission(scores, begins.astype(np.float32), sound)


def _by_sound(emission: Emission, model: ModelInfo) -> Emission:
    """The emission with what letters that sound alike have together, for each of them."""
    column = {token: c for c, token in enumerate(model.tokens)}
    groups = {
        column[letter]: [column[one] for one in alike if one in column]
        for letter, alike in ALIKE.items()
        if letter in column
    }
    if not groups:
        return emission
    shared = emission.copy()
    for letter, columns in groups.items():
        shared[:, letter] = np.logaddexp.reduce(emission[:, columns], axis=1)
    return shared


def _seconds_before(times: NDArray[np.float64], spans: Sequence[Span]) -> NDArray[np.float64]:
    """Seconds that lie in any of the spans and before each time; the spans are in order."""
    bounds = np.array([(0.0, 0.0), *spans])
    inside = np.cumsum(bounds[:, 1] - bounds[:, 0])
    known = np.stack([np.concatenate([[0.0], inside[:-1]]), inside], axis=1)
    return np.asarray(np.interp(times, bounds.ravel(), known.ravel()))


def problem(emission: PreparedEmission, transcript: Transcript, model: ModelInfo) -> Problem:
    """Bring a transcript into arrays.

    Args:
        emission: the recording's.
        transcript: at least one word.
        model: of the emission.
    """
    wildcard, blank = emission.scores.shape[1] - 2, emission.scores.shape[1] - 1
    column_of: dict[str | None, int] = {token: c for c, token in enumerate(model.tokens)}
    column_of[model.tokens[model.blank]] = blank
    column_of[None] = wildcard
    optional = dict(zip(_vowels(model), range(len(model.tokens), wildcard), strict=True))
    tokens: list[int] = []
    first: list[int] = []
    last: list[int] = []
    for number, word in enumerate(transcript.words):
        if number and model.space is not None:
            tokens.append(model.space)
        first.append(len(tokens))
        letters = [column_of[letter] for letter in _sounds(word)]
        # At a word's edge one stands for a consonant, or is written in both spellings.
        letters[1:-1] = [optional.get(column, column) for column in letters[1:-1]]
        tokens += letters or [blank]
        last.append(len(tokens) - 1)
    columns = np.array(tokens, np.int64)
    repeat = np.zeros(len(columns), np.float32)
    repeat[1:][columns[1:] == columns[:-1]] = -np.inf
    spaced = np.full(len(first) + 1, model.space is not None)
    spaced[[0, -1]] = False
    return Problem(
        emission=emission,
        tokens=columns,
        repeat=repeat,
        first=np.array(first, np.int64),
        last=np.array(last, np.int64),
        spaced=spaced,
    )


def _vowels(model: ModelInfo) -> list[int]:
    """Columns of the vowel letters that a writer may leave out."""
    return [column for column, token in enumerate(model.tokens) if token in VOWEL_LETTERS]


def _sounds(word: Word) -> list[str | None]:
    """The letters that stand for a sound."""
    return [letter for letter in word.letters if letter not in SILENT]


def known_letters(word: Word) -> int:
    """Letters that the model can recognise."""
    return sum(letter is not None for letter in _sounds(word))
