"""Reading audio: decoded by libsndfile, cut to its segment, mono, resampled by soxr."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from asr_gate.corpus.audited import AuditedAudio
from asr_gate.corpus.errors import UserError
from asr_gate.corpus.speech.opening import open_audio
from asr_gate.corpus.speech.signal import measure_signal
from asr_gate.corpus.speech.stored import Signal
from asr_gate.corpus.utterance import Seconds, Utterance

LONGEST = 7200
"""Seconds. Longer utterances are not decoded: nobody trains on them, and a header may lie."""

LARGEST = 60_000_000
"""Samples of all channels in one utterance: an hour at 16 kHz, 20 minutes at 48 kHz. A small file
can claim many, each takes 4 bytes, and measuring them takes a few times as much."""
MOST_CHANNELS = 32
LOWEST_RATE, HIGHEST_RATE = 2_000, 384_000
"""Samples a second."""

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


def load(utterance: Utterance, sample_rate: int, audited: AuditedAudio | None = None) -> Recording:
    """Decode one utterance, and measure its signal; arguments and errors as in `load_samples`."""
    stored, rate = _decode(utterance, audited)
    samples = _mixed(utterance, stored, rate, sample_rate)
    return Recording(samples, sample_rate, measure_signal(stored, rate))


def load_samples(
    utterance: Utterance, sample_rate: int, audited: AuditedAudio | None = None
) -> NDArray[np.float32]:
    """Decode one utterance; shape (n,), mono, full scale 1.0.

    Args:
        utterance: one row of a corpus.
        sample_rate: samples a second of the result.
        audited: what the audio must be; None: anything.

    Raises:
        AudioError: the audio is missing, truncated, empty, not audio, too large, or ends before the
            utterance does.
        AlteredAudio: it is not what was audited.
        StorageError: it lies in a store that cannot be read.
    """
    return _mixed(utterance, *_decode(utterance, audited), sample_rate)


def _decode(utterance: Utterance, audited: AuditedAudio | None) -> tuple[NDArray[np.float32], int]:
    """Samples as they are stored, shape (n, channels), and how many a second."""
    name = utterance.audio_name
    try:
        with open_audio(utterance) as stream:
            if audited is not None:
                stream = audited.require(utterance, stream)
            with soundfile.SoundFile(_source(stream), closefd=False) as file:
                rate = file.samplerate
                _require_bounds(utterance, file)
                start, wanted = _segment(utterance, rate, file.frames)
                _require_size(utterance, wanted, file)
                file.seek(start)
                stored = _read(file, wanted)
            if audited is not None:
                audited.require_unchanged(utterance, stream)
    except FileNotFoundError as error:
        raise AudioError(f"{name}: no such audio file") from error
    except (soundfile.SoundFileError, OSError, MemoryError) as error:
        text = str(error) if isinstance(error, soundfile.SoundFileError) else ""
        reason = text.rpartition(": ")[2] or getattr(error, "strerror", None) or "out of memory"
        raise AudioError(f"{name}: cannot be decoded ({reason})") from error
    if len(stored) < wanted - round(SLACK * rate):
        raise AudioError(
            f"{name}: truncated, {len(stored) / rate:.2f} of {wanted / rate:.2f} s can be decoded"
        )
    return stored, rate


def _mixed(
    utterance: Utterance, stored: NDArray[np.float32], rate: int, sample_rate: int
) -> NDArray[np.float32]:
    """Mono, at another sample rate."""
    name = utterance.audio_name
    with np.errstate(all="ignore"):  # files of floats may hold anything; what is no number is told
        mono = stored.mean(axis=1)
    if rate != sample_rate:
        mono = soxr.resample(mono, rate, sample_rate, quality="HQ")
    if not np.isfinite(mono).all():
        raise AudioError(f"{name}: holds samples that are not numbers")
    if len(mono) == 0:
        raise EmptyAudio(f"{name}: the recording is empty ({len(stored)} samples)")
    return np.ascontiguousarray(mono, dtype=np.float32)


def _source(stream: BinaryIO) -> BinaryIO | int:
    """What libsndfile reads: a descriptor where there is one, which is quicker."""
    return stream if isinstance(stream, io.BytesIO) else stream.fileno()


def _require_bounds(utterance: Utterance, file: soundfile.SoundFile) -> None:
    name = utterance.audio_name
    if not LOWEST_RATE <= file.samplerate <= HIGHEST_RATE:
        raise AudioError(
            f"{name}: {file.samplerate} samples a second; speech has {LOWEST_RATE} to "
            f"{HIGHEST_RATE}"
        )
    if file.channels > MOST_CHANNELS:
        raise AudioError(f"{name}: {file.channels} channels; at most {MOST_CHANNELS} are read")


def _require_size(utterance: Utterance, wanted: int, file: soundfile.SoundFile) -> None:
    name, rate = utterance.audio_name, file.samplerate
    if wanted > LONGEST * rate:
        raise AudioError(f"{name}: longer than {LONGEST / 3600:g} h; cut it into utterances")
    if wanted * file.channels > LARGEST:
        raise AudioError(
            f"{name}: {wanted / rate:.0f} s of {file.channels} channels at {rate} Hz are too much "
            f"to read at once; cut it into utterances, or store it as 16 kHz mono"
        )


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
    left = wanted
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
    try:
        with (
            open_audio(utterance) as stream,
            soundfile.SoundFile(_source(stream), closefd=False) as file,
        ):
            if file.frames == UNKNOWN or not LOWEST_RATE <= file.samplerate <= HIGHEST_RATE:
                return None
            length = file.frames / file.samplerate - utterance.offset
    except (soundfile.SoundFileError, OSError, MemoryError):
        return None
    return length if length > 0 else None
