"""Emissions whose truth is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from asr_gate.audit.acoustic.interface import Emission, ModelInfo
from asr_gate.audit.align import align, prepare
from asr_gate.audit.align.problem import Problem, problem
from asr_gate.audit.records.alignment import Alignment, Unalignable
from asr_gate.corpus.text.letters import Transcript, Word, spell
from asr_gate.corpus.utterance import Span

TOKENS = ("-", " ", *"abcdefghijklmnopqrstuvwxyz'")
ALPHABET = frozenset(TOKENS[2:])
MODEL = ModelInfo("m", "r", "0", "en", TOKENS, 0, 1, 0.02, 16000, 0.0)
JOINED = replace(MODEL, tokens=("-", *TOKENS[2:]), space=None)
"""A model without a separator."""


def says(frames: str, sure: float = 0.99) -> Emission:
    """An emission that hears one token a frame, as written."""
    rest = (1 - sure) / (len(TOKENS) - 1)
    emission = np.full((len(frames), len(TOKENS)), rest)
    emission[np.arange(len(frames)), [TOKENS.index(c) for c in frames]] = sure
    return np.log(emission).astype(np.float32)


def said(text: str, room: int = 3) -> str:
    """Frames for `says`: every letter and space once with so many blanks after it."""
    return "-" * room + "".join(letter + "-" * room for letter in text)


def align_text(
    emission: Emission,
    text: str,
    model: ModelInfo = MODEL,
    activity: Sequence[Span] | None = None,
) -> Alignment | Unalignable:
    """A text as written on an emission."""
    return align(prepare(emission, model, activity), spell(text, ALPHABET), model)


def aligned(
    frames: str, text: str, model: ModelInfo = MODEL, activity: Sequence[Span] | None = None
) -> Alignment:
    """The alignment of a text that can be aligned."""
    found = align_text(says(frames), text, model, activity)
    assert isinstance(found, Alignment)
    return found


def problem_of(emission: Emission, model: ModelInfo, *words: str) -> Problem:
    """The lattice's problem of some words; `?` is a character that the model does not know."""
    return problem(prepare(emission, model), transcript(*words), model)


def random_emission(frames: int, columns: int, seed: int, scale: float = 2.0) -> Emission:
    """Log-probabilities of normal logits."""
    logits = scale * np.random.default_rng(seed).standard_normal((frames, columns))
    return log_softmax(logits)


def log_softmax(logits: np.ndarray) -> Emission:
    """Natural log-probabilities; each frame sums to 1."""
    top = logits.max(axis=1, keepdims=True)
    logs = logits - top - np.log(np.exp(logits - top).sum(axis=1, keepdims=True))
    return np.asarray(logs, dtype=np.float32)


def transcript(*words: str) -> Transcript:
    """Words as letters; `?` is a character that the model does not know."""
    spelled = tuple(Word(word, tuple(None if c == "?" else c for c in word)) for word in words)
    return Transcript(spelled, sum(word.count("?") for word in words), 0)
