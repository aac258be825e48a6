"""Decoding: every format, segments, mixing, resampling, and everything that can be broken."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from asr_gate.corpus.speech.audio import AudioError, EmptyAudio, load, stored_duration
from asr_gate.corpus.utterance import Utterance
from tests.speech import spoken

RATE = 16000


def utterance(path: Path, offset: float = 0.0, duration: float | None = None) -> Utterance:
    return Utterance("u", "x", path, path.name, "m:1", offset, duration)


def tone(seconds: float, frequency: float = 440.0, rate: int = RATE) -> np.ndarray:
    return 0.5 * np.sin(2 * np.pi * frequency * np.arange(round(seconds * rate)) / rate)


@pytest.mark.parametrize(
    ("name", "format_", "subtype"),
    [
        ("a.wav", "WAV", "PCM_16"),
        ("a.flac", "FLAC", "PCM_16"),
        ("a.mp3", "MP3", "MPEG_LAYER_III"),
        ("a.ogg", "OGG", "VORBIS"),
        ("a.opus", "OGG", "OPUS"),
    ],
)
def test_formats(name: str, format_: str, subtype: str, tmp_path: Path) -> None:
    path = tmp_path / name
    soundfile.write(path, tone(2), RATE, subtype, format=format_)
    recording = load(utterance(path), RATE)
    assert abs(recording.duration - 2) < 0.1
    assert 0.25 < float(np.sqrt(np.mean(recording.samples**2))) < 0.45
    part = load(utterance(path, 0.5, 1.0), RATE)
    assert len(part.samples) == RATE


def test_mono_at_the_model_rate(tmp_path: Path) -> None:
    left, right = tone(1, 440, 44100), np.zeros(44100)
    soundfile.write(tmp_path / "a.wav", np.stack([left, right], axis=1), 44100)
    recording = load(utterance(tmp_path / "a.wav"), RATE)
    stored = recording.signal
    assert (recording.sample_rate, stored.sample_rate, stored.channels) == (RATE, 44100, 2)
    assert len(recording.samples) == RATE
    spectrum = np.abs(np.fft.rfft(recording.samples))
    assert spectrum.argmax() == 440
    assert abs(np.abs(recording.samples).max() - 0.25) < 0.01, "mixed, not one channel taken"


def test_segments_are_the_right_samples(tmp_path: Path) -> None:
    ramp = np.arange(RATE) / RATE
    soundfile.write(tmp_path / "a.wav", ramp, RATE, "FLOAT")
    part = load(utterance(tmp_path / "a.wav", 0.25, 0.5), RATE)
    np.testing.assert_allclose(part.samples, ramp[4000:12000], atol=1e-6)


def test_clipping_is_measured_before_anything_is_changed(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.clip(4 * tone(1, 100, 48000), -1, 1), 48000)
    assert load(utterance(tmp_path / "a.wav"), RATE).signal.clipped > 0.4


def test_what_is_broken_is_named(tmp_path: Path) -> None:
    whole = tmp_path / "whole.flac"
    soundfile.write(whole, np.concatenate(spoken(2)), RATE)
    (tmp_path / "cut.flac").write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    (tmp_path / "noise.wav").write_bytes(np.random.default_rng(0).bytes(5000))
    (tmp_path / "nothing.wav").write_bytes(b"")
    soundfile.write(tmp_path / "empty.wav", np.zeros(0), RATE)
    soundfile.write(tmp_path / "nan.wav", np.full(RATE, np.nan), RATE, "FLOAT")
    (tmp_path / "folder.wav").mkdir()
    length = soundfile.info(whole).duration
    for bad, says in [
        (utterance(tmp_path / "none.wav"), "none.wav: no such audio file"),
        (
            utterance(tmp_path / "folder.wav"),
            "folder.wav: cannot be decoded \\(not a regular file\\)",
        ),
        (utterance(tmp_path / "cut.flac"), "cut.flac: "),
        (utterance(tmp_path / "noise.wav"), "noise.wav: cannot be decoded"),
        (utterance(tmp_path / "nothing.wav"), "nothing.wav: cannot be decoded"),
        (utterance(tmp_path / "nan.wav"), "not numbers"),
        (utterance(whole, 100.0), "the utterance starts at 100.00 s"),
        (utterance(whole, length - 1, 3.0), "the recording ends at"),
        (utterance(whole, 0.0, length + 1), "the recording ends at"),
    ]:
        with pytest.raises(AudioError, match=says) as caught:
            load(bad, RATE)
        assert "\n" not in str(caught.value)
    with pytest.raises(EmptyAudio, match=r"empty \(0 samples\)"):
        load(utterance(tmp_path / "empty.wav"), RATE)


def test_a_header_may_not_say_or_lie(tmp_path: Path) -> None:
    """A FLAC's count of samples lies in 36 bits from byte 21 on; streams leave it 0."""
    soundfile.write(tmp_path / "a.flac", tone(2), RATE)
    flac = bytearray((tmp_path / "a.flac").read_bytes())
    flac[21:26] = bytes([flac[21] & 0xF0, 0, 0, 0, 0])
    (tmp_path / "stream.flac").write_bytes(flac)
    with pytest.raises(AudioError, match="does not say how long it is"):
        load(utterance(tmp_path / "stream.flac"), RATE)
    assert stored_duration(utterance(tmp_path / "stream.flac")) is None
    flac[21:26] = bytes([flac[21] | 0x0F, 255, 255, 255, 255])
    (tmp_path / "liar.flac").write_bytes(flac)
    with pytest.raises(AudioError, match="liar"):
        load(utterance(tmp_path / "liar.flac"), RATE)


def test_a_sample_or_two_are_no_recording(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.zeros(1), 48000)
    with pytest.raises(EmptyAudio):
        load(utterance(tmp_path / "a.wav"), RATE)
    soundfile.write(tmp_path / "b.wav", np.zeros(1), RATE)
    assert len(load(utterance(tmp_path / "b.wav"), RATE).samples) == 1


def test_a_rounded_duration_is_no_fault(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", tone(1.95), RATE)
    assert abs(load(utterance(tmp_path / "a.wav", 0.0, 2.0), RATE).duration - 1.95) < 1e-3


def test_duration_comes_from_the_manifest_or_the_file(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", tone(2), RATE)
    row = utterance(tmp_path / "a.wav", 0.5)
    assert stored_duration(row) == 1.5
    assert stored_duration(replace(row, duration=9.0)) == 9.0
    assert stored_duration(utterance(tmp_path / "none.wav")) is None
