"""Recordings as cells of a table."""

from __future__ import annotations

from asr_gate.corpus.speech.audio import AudioError, load
from asr_gate.corpus.utterance import Seconds, Utterance
from asr_gate.tracking.tables import Clip

CLIP_RATE = 16000
CLIP_LONGEST: Seconds = 30.0
"""Most of a recording that is uploaded."""


def clip(utterance: Utterance) -> Clip | None:
    """The begin of an utterance's audio; None: it cannot be decoded."""
    try:
        recording = load(utterance, CLIP_RATE)
    except AudioError:
        return None
    return Clip(recording.samples[: round(CLIP_LONGEST * CLIP_RATE)], CLIP_RATE)
