"""Damaged audio of each format: it is decoded and measured, or refused with a line."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path

import numpy as np
import pytest
import soundfile

from asr_gate.corpus.speech.activity import level_db, speech_activity
from asr_gate.corpus.speech.audio import load, stored_duration
from asr_gate.corpus.speech.signal import speech_to_noise
from asr_gate.corpus.utterance import Utterance
from tests.fuzz.harness import Reader, fuzz
from tests.speech import spoken

RATE = 16000
FORMATS = {
    "wav": ("WAV", "PCM_16"),
    "float": ("WAV", "FLOAT"),
    "flac": ("FLAC", "PCM_16"),
    "mp3": ("MP3", "MPEG_LAYER_III"),
    "ogg": ("OGG", "VORBIS"),
    "opus": ("OGG", "OPUS"),
}


def measure(name: str, folder: Path) -> None:
    """Decode and measure a part of the file, as the audit does with each utterance."""
    row = Utterance("u", "x", folder / name, name, "m:1", 0.05, 0.4)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        length = stored_duration(Utterance("u", "x", folder / name, name, "m:1"))
        assert length is None or length > 0
        recording = load(row, RATE)
        speech_activity(recording.samples, RATE)
        ratio = speech_to_noise(level_db(recording.samples, RATE))
    signal = recording.signal
    measured = [ratio, signal.bandwidth, signal.dc_offset, signal.channel_gap]
    assert all(np.isfinite(value) for value in measured if value is not None)
    assert np.isfinite(recording.samples).all()


@cache
def speech() -> np.ndarray:
    return np.concatenate(spoken(1))[: RATE // 2]


def encoded(kind: str) -> bytes:
    format_, subtype = FORMATS[kind]
    content = io.BytesIO()
    soundfile.write(content, speech(), RATE, subtype, format=format_)
    return content.getvalue()


@pytest.mark.slow
@pytest.mark.parametrize("kind", FORMATS)
def test_damaged_audio_is_measured_or_refused(
    kind: str, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    name = f"u.{kind}"
    ends = fuzz(Reader(kind, {name: encoded(kind)}, partial(measure, name), 150), tmp_path)
    record_property(f"fuzzed audio: {kind}", dict(ends))
    assert ends["read"] > 0 or kind in ("ogg", "opus"), "Ogg has checksums"
    assert ends["refused"] > 10
