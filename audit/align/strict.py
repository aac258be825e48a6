"""Strict CTC forced alignment: every word is put somewhere, and each says how well it fits.

The path is Viterbi's over the CTC states of the transcript (Graves et al., 2006), by
`torchaudio.functional.forced_align` (Pratap et al., 2023). A strict path never says no; so each
word is scored by the likelihood ratio of its stretch of the path against the best free path over
the same frames, which a wrong word cannot reach whatever the model's own level is.
"""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import torch
import torchaudio.functional

from audit.acoustic.interface import Emission, ModelInfo
from audit.align.interface import AlignedWord, Alignment, Unalignable
from corpus.text.letters import Transcript

MAX_CELLS = 2_000_000_000
"""Frames times states; `forced_align` keeps a byte for each. About 20 minutes of speech."""


def align(
    emission: Emission, transcript: Transcript, model: ModelInfo, keep: float
) -> Alignment | Unalignable:
    """Align one transcript.

    Characters outside the model's alphabet align to a wildcard that costs as much as the best
    letter of its frame; they hold their place and count for nothing.

    Args:
        emission: log-probabilities, shape (frames, tokens).
        transcript: the words as the model's letters.
        model: blank, space, stride and delay.
        keep: least confidence of a word that counts as said.

    Returns:
        The alignment, or why there is none.
    """
    if not transcript.words:
        return Unalignable("T001", "the transcript has no letters")
    if transcript.unknown == transcript.letters:
        return Unalignable(
            "T002", f"none of its {transcript.unknown} characters is in the model's alphabet"
        )
    wildcard = emission.shape[1]
    columns, owners = _targets(transcript, model, wildcard)
    repeats = sum(a == b for a, b in pairwise(columns))
    if len(columns) + repeats > len(emission):
        return Unalignable(
            "A002",
            f"{len(columns) + repeats} frames are needed to say it, the audio has {len(emission)}",
        )
    cells = len(emission) * (2 * len(columns) + 1)
    if cells > MAX_CELLS:
        return Unalignable(
            "A004",
            f"its alignment needs {cells / 1e9:.1f} GB, over {MAX_CELLS / 1e9:.0f}; "
            "cut the recording into utterances",
        )
    scores = _with_wildcard(emission, model.blank) if transcript.unknown else emission
    path, _ = torchaudio.functional.forced_align(
        torch.from_numpy(np.ascontiguousarray(scores))[None],
        torch.tensor([columns], dtype=torch.int32),
        blank=model.blank,
    )
    tokens = path[0].numpy()
    frames = np.arange(len(tokens))
    free = scores.max(axis=1)
    loss = (scores[frames, tokens] - free).astype(np.float64)
    starts, ends = _spans(tokens, model.blank)
    words: list[AlignedWord] = []
    for number, word in enumerate(transcript.words):
        mine = np.flatnonzero(owners == number)
        first, last = starts[mine[0]], ends[mine[-1]]
        confidence = math.exp(float(loss[first:last].sum()) / len(mine))
        known = sum(letter is not None for letter in word.letters)
        words.append(
            AlignedWord(
                text=word.text,
                letters=known,
                start=max(0.0, first * model.stride - model.delay),
                end=max(0.0, last * model.stride - model.delay),
                confidence=confidence,
                spoken=None,
                replaced=None,
                kept=confidence >= keep,
            )
        )
    return Alignment(tuple(words), float(scores[frames, tokens].mean()))


def _targets(
    transcript: Transcript, model: ModelInfo, wildcard: int
) -> tuple[list[int], np.ndarray]:
    """Columns of the transcript's tokens, and the word that each belongs to (-1: a separator)."""
    column_of = {token: column for column, token in enumerate(model.tokens)}
    columns: list[int] = []
    owners: list[int] = []
    for number, word in enumerate(transcript.words):
        if number and model.space is not None:
            columns.append(model.space)
            owners.append(-1)
        for letter in word.letters:
            columns.append(wildcard if letter is None else column_of[letter])
            owners.append(number)
    return columns, np.array(owners)


def _with_wildcard(emission: Emission, blank: int) -> Emission:
    letters = np.delete(emission, blank, axis=1)
    return np.concatenate([emission, letters.max(axis=1, keepdims=True)], axis=1)


def _spans(path: np.ndarray, blank: int) -> tuple[np.ndarray, np.ndarray]:
    """First and one-past-last frame of each token of a path, in order."""
    starts_here = np.concatenate([[True], path[1:] != path[:-1]]) & (path != blank)
    ends_here = np.concatenate([path[1:] != path[:-1], [True]]) & (path != blank)
    return np.flatnonzero(starts_here), np.flatnonzero(ends_here) + 1
