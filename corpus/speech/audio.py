"""Reading audio: decoded by libsndfile, cut to its segment, mono, resampled by soxr."""

from __future__ import annotations

import io
import os.path
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from asr_gate.corpus.errors import UserError
from asr_gate.corpus.speech.signal import measure_signal
from asr_gate.corpus.speech.stored import Signal
from asr_gate.corpus.utterance import Seconds, Utterance

LONGEST = 7200
"""Seconds. Longer utterances are not decoded: nobody trains on them, and a header may lie."""

UNKNOWN = 2**63 - 1
"""What libsndfile counts where a header does not say, as in a streamed FLAC; it cannot read these
to their end."""

SLACK: Seconds = 0.25
"""How far a manifest may round a duration up, and a codec cut the end, before audio is missing."""


class AudioError(UserError):
    """The audio of one utterance cannot be read; the message says why."""


class EmptyAudio(AudioError):
    """The recording has no samples."""


@dataclass(frozen=True, slots=True)
class Recording:
    """The samples of one utterance."""

    samples: NDArray[np.float32]
    """Shape (n,), mono, at `sample_rate`, full scale 1.0."""
    sample_rate: int
    signal: Signal
    """What was measured before they were mixed and resampled."""

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
    if not _is_there(utterance):
        hint = "; URLs are not fetched" if "://" in name else ""
        raise AudioError(f"{name}: no such audio file{hint}")
    try:
        with soundfile.SoundFile(_source(utterance)) as file:
            rate = file.samplerate
            start, wanted = _segment(utterance, rate, file.frames)
            file.seek(start)
            stored = _read(file, wanted)
    except (soundfile.SoundFileError, OSError) as error:
        reason = str(error).rpartition(": ")[2]
        raise AudioError(f"{name}: cannot be decoded ({reason})") from error
    if len(stored) > LONGEST * rate:
        raise AudioError(f"{name}: longer than {LONGEST / 3600:g} h; cut it into utterances")
    if len(stored) < wanted - round(SLACK * rate):
        raise AudioError(
            f"{name}: truncated, {len(stored) / rate:.2f} of {wanted / rate:.2f} s can be decoded"
        )
    mono = stored.mean(axis=1)
    if rate != sample_rate:
        mono = soxr.resample(mono, rate, sample_rate, quality="HQ")
    if not np.isfinite(mono).all():
        raise AudioError(f"{name}: holds samples that are not numbers")
    if len(mono) == 0:
        raise EmptyAudio(f"{name}: the recording is empty ({len(stored)} samples)")
    return Recording(
        samples=np.ascontiguousarray(mono, dtype=np.float32),
        sample_rate=sample_rate,
        signal=measure_signal(stored, rate),
    )


def _source(utterance: Utterance) -> Path | io.BytesIO:
    audio = utterance.audio
    return audio if isinstance(audio, Path) else io.BytesIO(audio.read())


def _is_there(utterance: Utterance) -> bool:
    """Whether there is something to open; a pipe or a device would never end."""
    audio = utterance.audio
    # Path.is_file raises on impossible names.
    return not isinstance(audio, Path) or os.path.isfile(audio)  # noqa: PTH113


def _segment(utterance: Utterance, rate: int, total: int) -> tuple[int, int]:
    """First sample of an utterance, and how many.

    Args:
        utterance: with its offset and duration.
        rate: samples a second.
        total: samples of the recording by its header.
    """
    name, start = utterance.audio_name, round(utterance.offset * rate)
    if total == UNKNOWN:
        raise AudioError(f"{name}: its header does not say how long it is; encode it anew")
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


def _read(file: soundfile.SoundFile, wanted: int) -> NDArray[np.float32]:
    """Up to so many samples, shape (n, channels), in blocks: a header may claim any number."""
    blocks = [np.zeros((0, file.channels), np.float32)]
    left = min(wanted, (LONGEST + 1) * file.samplerate)
    while left > 0:
        block = file.read(min(left, 60 * file.samplerate), dtype="float32", always_2d=True)
        if not len(block):
            break
        blocks.append(block)
        left -= len(block)
    return np.concatenate(blocks)


def stored_duration(utterance: Utterance) -> Seconds | None:
    """Length of an utterance by its manifest, or else by its file's header; None: unreadable."""
    if utterance.duration is not None:
        return utterance.duration
    if not _is_there(utterance):
        return None
    try:
        header = soundfile.info(_source(utterance))
    except (soundfile.SoundFileError, OSError):
        return None
    length = header.duration - utterance.offset
    return length if header.frames != UNKNOWN and length > 0 else None
