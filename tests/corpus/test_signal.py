"""Measurements of the stored signal, on sound whose truth is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from asr_gate.corpus.speech.activity import level_db
from asr_gate.corpus.speech.audio import load
from asr_gate.corpus.speech.signal import bandwidth, measure_signal, speech_to_noise
from asr_gate.corpus.speech.stored import Signal
from asr_gate.corpus.utterance import Utterance
from tests.speech import babble, spoken

RATE = 16000


def mono(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    return samples.astype(np.float32)[:, None]


def stereo(left: NDArray[np.float32], right: NDArray[np.float32]) -> Signal:
    return measure_signal(np.stack([left, right], axis=1).astype(np.float32), RATE)


def test_good_speech_has_nothing_to_it() -> None:
    for speech in spoken(8):
        signal = measure_signal(mono(speech), RATE)
        assert (signal.sample_rate, signal.channels) == (RATE, 1)
        assert signal.clipped == 0
        assert signal.dc_offset < 0.01
        assert signal.bandwidth is not None
        assert signal.bandwidth > 6000
        assert (signal.channel_gap, signal.channel_correlation) == (0.0, None)
        ratio = speech_to_noise(level_db(speech, RATE))
        assert ratio is not None
        assert ratio > 15


@pytest.mark.parametrize("rate", [6000, 8000, 11025])
def test_a_band_that_was_cut_off_shows_at_any_rate(rate: int) -> None:
    for speech in spoken(3):
        low = soxr.resample(speech, RATE, rate)
        for to in (RATE, 44100):
            found = bandwidth(soxr.resample(low, rate, to).astype(np.float32), to)
            assert found is not None
            assert 0.8 * rate / 2 < found < 1.02 * rate / 2


def test_the_level_changes_no_band() -> None:
    (speech,) = spoken(1)
    found = bandwidth(speech, RATE)
    assert bandwidth(speech * np.float32(1e-3), RATE) == found
    assert bandwidth(speech + np.float32(0.1), RATE) == found, "nor does direct current"


def test_silence_and_clicks_have_no_band() -> None:
    assert bandwidth(np.zeros(RATE, np.float32), RATE) is None
    assert bandwidth(np.ones(100, np.float32), RATE) is None
    assert bandwidth(np.ones(0, np.float32), RATE) is None
    assert bandwidth(np.ones(5, np.float32), 20) is None


def test_an_offset_is_that_of_the_worst_channel() -> None:
    (speech,) = spoken(1)
    speech = speech - speech.mean()
    assert stereo(speech, speech - 0.05).dc_offset == pytest.approx(0.05, abs=1e-3)


def test_channels_beside_each_other() -> None:
    one, other = (s[: 2 * RATE] for s in spoken(2))
    same = stereo(one, 0.5 * one)
    assert same.channel_gap == pytest.approx(6.02, abs=0.01)
    assert same.channel_correlation == pytest.approx(1, abs=1e-4)
    assert stereo(one, -one).channel_correlation == pytest.approx(-1, abs=1e-4)
    call = stereo(one, other)
    assert call.channel_correlation is not None
    assert abs(call.channel_correlation) < 0.15
    dead = stereo(one, 1e-4 * babble(2))
    assert dead.channel_gap > 50
    nothing = stereo(one, np.zeros_like(one))
    assert nothing.channel_gap > 50
    assert nothing.channel_correlation is None
    room = stereo(one, 0.8 * one + 0.2 * np.roll(one, 40))
    assert room.channel_correlation is not None
    assert room.channel_correlation > 0.8


@pytest.mark.parametrize("truth", [0, 5, 10, 20])
def test_steady_noise_is_measured_as_documented(truth: int) -> None:
    random = np.random.default_rng(0)
    for speech in spoken(5):
        level = level_db(speech, RATE)
        loud = 10 ** (level[level > np.percentile(level, 95) - 25] / 10)
        noise = np.sqrt(loud.mean() * 10 ** (-truth / 10)) * random.standard_normal(len(speech))
        found = speech_to_noise(level_db((speech + noise).astype(np.float32), RATE))
        assert found is not None
        assert truth + 2 < found < truth + 9


def test_an_offset_is_no_sound() -> None:
    for speech in spoken(2):
        offset = speech + np.float32(0.05)
        np.testing.assert_allclose(level_db(offset, RATE), level_db(speech, RATE), atol=0.1)
    assert level_db(np.full(RATE, 0.5, np.float32), RATE).max() < -100


def test_too_little_says_nothing_of_noise() -> None:
    assert speech_to_noise(level_db(babble(0.99), RATE)) is None
    assert speech_to_noise(level_db(babble(1.0), RATE)) is not None
    assert speech_to_noise(np.zeros(0)) is None


@given(st.lists(st.lists(st.floats(width=32, allow_nan=False), min_size=1, max_size=3), min_size=1))
def test_whatever_a_file_of_floats_holds_the_measurements_are_numbers(
    rows: list[list[float]],
) -> None:
    width = min(map(len, rows))
    samples = np.array([row[:width] for row in rows], np.float32)
    if not np.isfinite(samples).all():
        return  # refused before it is measured
    signal = measure_signal(samples, 20)
    numbers = [signal.clipped, signal.dc_offset, signal.bandwidth, signal.channel_gap]
    assert all(np.isfinite(n) for n in [*numbers, signal.channel_correlation] if n is not None)
    assert 0 <= signal.clipped <= 1
    assert signal.channel_gap >= 0
    if signal.channel_correlation is not None:
        assert -1 <= signal.channel_correlation <= 1


def test_it_is_measured_before_mixing_and_resampling(tmp_path: Path) -> None:
    (speech,) = spoken(1)
    phone = soxr.resample(soxr.resample(speech, RATE, 8000), 8000, 48000)
    both = np.stack([phone, np.zeros_like(phone)], axis=1)
    soundfile.write(tmp_path / "a.flac", both, 48000)
    row = Utterance("u", "x", tmp_path / "a.flac", "a.flac", "m:1")
    signal = load(row, RATE).signal
    assert (signal.sample_rate, signal.channels) == (48000, 2)
    assert signal.bandwidth is not None
    assert 3000 < signal.bandwidth < 4100
    assert signal.channel_gap > 40
    part = Utterance("u", "x", tmp_path / "a.flac", "a.flac", "m:1", 0.5, 1.0)
    assert load(part, RATE).signal.sample_rate == 48000
