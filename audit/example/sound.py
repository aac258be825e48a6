"""Signals: trim, level, room, noise, and writing with one of several codecs."""

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
import soundfile
from numpy.typing import NDArray

SAMPLE_RATE = 16_000
PEAK = 0.89
"""Leaves room for the overshoot of lossy codecs."""

Samples: TypeAlias = NDArray[np.float32]


@dataclass(frozen=True)
class Codec:
    """How libsndfile is asked to write a file."""

    suffix: str
    format: str
    subtype: str
    compression: float | None = None
    """libsndfile's compression level, 0 (largest file) to 1."""


FLAC = Codec(".flac", "FLAC", "PCM_16")
WAV = Codec(".wav", "WAV", "PCM_16")
MU_LAW = Codec(".wav", "WAV", "ULAW")
# Variable rate: at the lowest constant rates LAME leaves out the tag by which a decoder removes
# the encoder's padding, and the file would be longer than what was written.
MP3 = Codec(".mp3", "MP3", "MPEG_LAYER_III", 0.7)
VORBIS = Codec(".ogg", "OGG", "VORBIS", 0.9)
OPUS = Codec(".opus", "OGG", "OPUS", 0.96)


def trim(samples: Samples, below_db: float = 45.0) -> Samples:
    """Cut what lies more than `below_db` under the peak from both ends."""
    loud = np.flatnonzero(np.abs(samples) > np.abs(samples).max() * 10 ** (-below_db / 20))
    return samples[loud[0] : loud[-1] + 1]


def silence(seconds: float) -> Samples:
    """Digital zeros."""
    return np.zeros(round(seconds * SAMPLE_RATE), np.float32)


def level(samples: Samples, dbfs: float) -> Samples:
    """Scale to an RMS of `dbfs`, or to `PEAK` if that comes first."""
    rms = float(np.sqrt(np.mean(samples**2)))
    gain = min(10 ** (dbfs / 20) / rms, PEAK / float(np.abs(samples).max()))
    return (samples * gain).astype(np.float32)


def add_room(
    samples: Samples, rng: np.random.Generator, decay_s: float, direct_to_reverberant_db: float
) -> Samples:
    """Reverberation: exponentially decaying noise of a given T60, under the direct sound."""
    n = round(decay_s * SAMPLE_RATE)
    tail = rng.standard_normal(n) * 10 ** (-3 * np.arange(n) / n)
    tail[: SAMPLE_RATE // 500] = 0.0  # nothing arrives within 2 ms of the direct sound
    tail *= 10 ** (-direct_to_reverberant_db / 20) / np.sqrt(np.sum(tail**2))
    tail[0] = 1.0
    size = len(samples) + n
    wet = np.fft.irfft(np.fft.rfft(samples, size) * np.fft.rfft(tail, size), size)
    return wet[: len(samples)].astype(np.float32)


def add_noise(samples: Samples, rng: np.random.Generator, snr_db: float, tilt: float) -> Samples:
    """Noise whose power falls as 1 / frequency**`tilt`, `snr_db` under the signal's RMS."""
    spectrum = np.fft.rfft(rng.standard_normal(len(samples)))
    hertz = np.fft.rfftfreq(len(samples), 1 / SAMPLE_RATE)
    noise = np.fft.irfft(spectrum * np.maximum(hertz, 50.0) ** (-tilt / 2), len(samples))
    noise *= np.sqrt(np.mean(samples**2) / np.mean(noise**2)) * 10 ** (-snr_db / 20)
    return (samples + noise).astype(np.float32)


def write(path: Path, samples: Samples, codec: Codec) -> None:
    """Write `samples`; the same samples give the same bytes."""
    # Only MP3 knows bitrate modes, and libsndfile refuses the setting elsewhere.
    mode = "VARIABLE" if codec.format == "MP3" else None
    soundfile.write(
        path,
        samples,
        SAMPLE_RATE,
        format=codec.format,
        subtype=codec.subtype,
        compression_level=codec.compression,
        bitrate_mode=mode,
    )
    if codec.format == "OGG":
        path.write_bytes(_with_serial(path.read_bytes(), serial=1))


def _with_serial(ogg: bytes, serial: int) -> bytes:
    """The Ogg stream under another serial number: libsndfile draws one from the clock."""
    pages = bytearray(ogg)
    start = 0
    while start < len(pages):
        if pages[start : start + 4] != b"OggS":
            raise ValueError(f"no Ogg page at byte {start}")
        segments = pages[start + 26]
        body = sum(pages[start + 27 : start + 27 + segments])
        end = start + 27 + segments + body
        struct.pack_into("<I", pages, start + 14, serial)
        struct.pack_into("<I", pages, start + 22, 0)
        struct.pack_into("<I", pages, start + 22, _ogg_crc(pages[start:end]))
        start = end
    return bytes(pages)


def _crc_table() -> list[int]:
    table = []
    for byte in range(256):
        value = byte << 24
        for _ in range(8):
            value = (value << 1) ^ (0x04C11DB7 if value & 0x80000000 else 0)
        table.append(value & 0xFFFFFFFF)
    return table


_CRC_TABLE = _crc_table()


def _ogg_crc(page: bytes | bytearray) -> int:
    """Ogg's checksum: CRC-32 unreflected, from zero, not inverted (so not zlib's)."""
    crc = 0
    for byte in page:
        crc = ((crc << 8) & 0xFFFFFFFF) ^ _CRC_TABLE[(crc >> 24) ^ byte]
    return crc
