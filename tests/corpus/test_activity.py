"""Speech activity, by a network and by level."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import soxr
from numpy.typing import NDArray

from asr_gate.corpus.speech import silero
from asr_gate.corpus.speech.activity import HOP, _snapped, level_db, speech_activity
from asr_gate.corpus.speech.detector import Detector
from asr_gate.corpus.speech.signal import speech_to_noise
from asr_gate.corpus.speech.silero import speech_probability
from tests.speech import spoken

RATE = 16000
DETECTORS = get_args(Detector)
SILENCE = np.zeros(2 * RATE, np.float32)


def in_silence(noise: float = 0.0) -> NDArray[np.float32]:
    """Two seconds, speech, two seconds, under white noise of this part of its power."""
    (speech,) = spoken(1)
    sound = np.concatenate([SILENCE, speech, SILENCE])
    loud = float(np.sqrt(np.mean(speech**2)))
    random = np.random.default_rng(0)
    return sound + (noise * loud * random.standard_normal(len(sound))).astype(np.float32)


def parts(active: NDArray[np.bool_]) -> tuple[float, float]:
    """How much of the speech and of what is around it is active."""
    edge, inner = round(1.9 / HOP), round(2.2 / HOP)
    around = np.concatenate([active[:edge], active[-edge:]])
    return float(active[inner:-inner].mean()), float(around.mean())


@pytest.mark.parametrize("detector", DETECTORS)
@pytest.mark.parametrize("noise", [0.0, 0.03, 0.1])
def test_speech_is_found_in_silence_and_noise(detector: Detector, noise: float) -> None:
    sound = in_silence(noise)
    active = speech_activity(sound, RATE, detector)
    assert len(active) == len(level_db(sound, RATE)) == -(-len(sound) // 160)
    speech, around = parts(active)
    assert speech > 0.7
    assert around < 0.05


def test_noise_as_loud_as_speech_is_no_speech_to_the_network_alone() -> None:
    by_network = parts(speech_activity(in_silence(1.0), RATE, "silero"))
    by_level = parts(speech_activity(in_silence(1.0), RATE, "energy"))
    assert by_network[0] > 0.6
    assert by_network[1] < 0.1
    assert by_level[1] > 0.9


@pytest.mark.parametrize("detector", DETECTORS)
def test_silence_is_no_speech(detector: Detector) -> None:
    assert not speech_activity(SILENCE, RATE, detector).any()
    assert len(speech_activity(np.zeros(0, np.float32), RATE, detector)) == 0
    assert len(speech_activity(np.zeros(1, np.float32), RATE, detector)) == 1


def test_where_the_network_finds_no_speech_the_level_decides() -> None:
    noise = 0.1 * np.random.default_rng(0).standard_normal(RATE).astype(np.float32)
    assert (speech_probability(noise, RATE) < 0.5).all()
    assert np.array_equal(
        speech_activity(noise, RATE, "silero"), speech_activity(noise, RATE, "energy")
    )


def test_blocks_and_rates_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    sound = in_silence(0.1)
    whole = speech_probability(sound, RATE)
    assert len(whole) == -(-len(sound) // 512)
    monkeypatch.setattr(silero, "BLOCK", 7)
    np.testing.assert_allclose(speech_probability(sound, RATE), whole, atol=1e-5)
    active = speech_activity(sound, RATE, "silero")
    for rate in (8000, 48000):
        other = speech_activity(soxr.resample(sound, RATE, rate), rate, "silero")
        assert abs(len(other) - len(active)) <= 1
        assert (other[: len(active)] == active[: len(other)]).mean() > 0.95


def test_edges_go_to_those_of_the_level_where_these_are_near() -> None:
    active, loud = np.zeros(100, bool), np.zeros(100, bool)
    active[20:50], loud[26:47] = True, True
    active[70:76], loud[73:74] = True, True
    active[90:], loud[60:61] = True, True
    moved = _snapped(active, loud)
    assert np.flatnonzero(np.diff(moved, prepend=False)).tolist() == [26, 47, 73, 74, 90]
    assert np.array_equal(_snapped(active, np.zeros(100, bool)), active)
    short = np.zeros(100, bool)
    short[73:75] = True
    loud = np.zeros(100, bool)
    loud[60:70] = loud[80:90] = True
    assert _snapped(short, loud).any(), "no stretch vanishes"


def test_other_weights_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "other.onnx").write_bytes(silero.WEIGHTS.read_bytes() + b" ")
    monkeypatch.setattr(silero, "WEIGHTS", tmp_path / "other.onnx")
    silero._session.cache_clear()
    try:
        with pytest.raises(ValueError, match="not the weights"):
            speech_probability(SILENCE, RATE)
    finally:
        silero._session.cache_clear()


def test_the_noise_of_pauses_is_measured_where_they_are_known() -> None:
    level = np.full(200, -20.0)
    level[:100] = np.tile(
        [-40.0, -23.0, -23.0, -23.0], 25
    )  # music in the pause, now loud and now soft
    active = np.arange(200) >= 100
    by_level, by_pauses = speech_to_noise(level), speech_to_noise(level, active)
    assert by_level is not None
    assert by_pauses is not None
    assert by_level > 19
    assert by_pauses < 1
    assert speech_to_noise(level, np.ones(200, bool)) == by_level, "no pause: the soft moments"
    assert speech_to_noise(level[:99], active[:99]) is None
