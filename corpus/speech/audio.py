"""Audio in: decoded by libsndfile, segments by offset and duration, mono, resampled by soxr."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from corpus.errors import UserError
from corpus.utterance import Seconds, Utterance

CLIP_LEVEL = 0.999
"""Samples at or above this share of full scale count as clipped."""

SLACK: Seconds = 0.25
"""How far a manifest may round a duration up, and a codec cut the end, before audio is missing."""


class AudioError(UserError):
    """The audio of one utterance cannot be read; the message says why."""


class EmptyAudio(AudioError):
    """The recording has no samples."""


@dataclass(frozen=True, slots=True)
class Recording:
    """The samples of one utterance and what was measured before they were mixed and resampled."""

    samples: NDArray[np.float32]
    """Shape (n,), mono, at `sample_rate`, full scale 1.0."""
    sample_rate: int
    source_rate: int
    """Samples a second as stored."""
    channels: int
    clipped: float
    """Share of the stored samples at full scale, 0 to 1."""

    @property
    def duration(self) -> Seconds:
        """Length in seconds."""
        return len(self.samples) / self.sample_rate


def load(utterance: Utterance, sample_rate: int) -> Recording:
    """Decode one utterance.

    Raises:
        AudioError: the audio is missing, truncated, empty, not audio, or ends before the
            utterance does.
    """
    name = utterance.audio_name
    if isinstance(utterance.audio, Path) and not utterance.audio.is_file():
        raise AudioError(f"{name}: no such audio file")
    try:
        with soundfile.SoundFile(_source(utterance)) as file:
            rate, channels = file.samplerate, file.channels
            start, wanted = _segment(utterance, rate, file.frames)
            file.seek(start)
            stored = file.read(wanted, dtype="float32", always_2d=True)
    except (soundfile.SoundFileError, OSError) as error:
        reason = str(error).rpartition(": ")[2]
        raise AudioError(f"{name}: cannot be decoded ({reason})") from error
    if len(stored) == 0 or len(stored) < wanted - round(SLACK * rate):
        raise AudioError(
            f"{name}: truncated, {len(stored) / rate:.2f} of {wanted / rate:.2f} s can be decoded"
        )
    if not np.isfinite(stored).all():
        raise AudioError(f"{name}: holds samples that are not numbers")
    mono = stored.mean(axis=1)
    if rate != sample_rate:
        mono = soxr.resample(mono, rate, sample_rate, quality="HQ")
    return Recording(
        samples=np.ascontiguousarray(mono, dtype=np.float32),
        sample_rate=sample_rate,
        source_rate=rate,
        channels=channels,
        clipped=float((np.abs(stored) >= CLIP_LEVEL).mean()),
    )


def _source(utterance: Utterance) -> Path | io.BytesIO:
    audio = utterance.audio
    return audio if isinstance(audio, Path) else io.BytesIO(audio.read())


def _segment(utterance: Utterance, rate: int, total: int) -> tuple[int, int]:
    """First sample of an utterance and how many, in a recording of `total` samples."""
    name, start = utterance.audio_name, round(utterance.offset * rate)
    if total == 0:
        raise EmptyAudio(f"{name}: the recording is empty (0 samples)")
    if start >= total:
        raise AudioError(
            f"{name}: the recording ends at {total / rate:.2f} s, "
            f"the utterance starts at {utterance.offset:.2f} s"
        )
    if utterance.duration is None:
        return start, total - start
    wanted = round(utterance.duration * rate)
    if start + wanted > total + round(SLACK * rate):
        raise AudioError(
            f"{name}: the recording ends at {total / rate:.2f} s, "
            f"the utterance at {(start + wanted) / rate:.2f} s"
        )
    return start, wanted


def stored_duration(utterance: Utterance) -> Seconds | None:
    """Length of an utterance by its manifest, or else by its file's header; None: unreadable."""
    if utterance.duration is not None:
        return utterance.duration
    try:
        return float(soundfile.info(_source(utterance)).duration) - utterance.offset
    except (soundfile.SoundFileError, OSError):
        return None
