"""Hundreds of damaged files: each is decoded and measured, or refused with a line."""

from __future__ import annotations

import random
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import soundfile

from asr_gate.corpus.speech.activity import level_db, speech_activity
from asr_gate.corpus.speech.audio import AudioError, load, stored_duration
from asr_gate.corpus.speech.signal import speech_to_noise
from asr_gate.corpus.utterance import Utterance
from tests.speech import spoken

RATE = 16000
FORMATS = {
    "wav": ("WAV", "PCM_16"),
    "flac": ("FLAC", "PCM_16"),
    "mp3": ("MP3", "MPEG_LAYER_III"),
    "ogg": ("OGG", "VORBIS"),
    "opus": ("OGG", "OPUS"),
}
EACH = 12
"""Files of each format and kind of damage."""
LONGEST = 2.0
"""Seconds for one file of a second of audio."""


def damaged(kind: str, whole: bytes, draw: random.Random) -> bytes:
    """A file with one kind of damage."""
    if kind == "truncated":
        return whole[: draw.randrange(len(whole))]
    content = bytearray(whole)
    if kind == "flipped":
        for _ in range(draw.randint(1, 40)):
            content[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
    elif kind == "header":
        # Sizes, rates and counts lie here; 0xff claims as much as they can hold.
        for _ in range(draw.randint(1, 6)):
            start = draw.randrange(4, 60)
            content[start : start + draw.randint(1, 5)] = b"\xff" * draw.randint(1, 5)
    elif kind == "hole":
        start = draw.randrange(len(content))
        content[start : start + draw.randint(1, 3000)] = bytes(draw.randint(0, 3000))
    return bytes(content)


def files(folder: Path) -> Iterator[Path]:
    """Sixty-odd damaged files of each format."""
    draw = random.Random(0)
    speech = np.concatenate(spoken(1))[:RATE]
    wholes = {}
    for suffix, (format_, subtype) in FORMATS.items():
        path = folder / f"whole.{suffix}"
        soundfile.write(path, speech, RATE, subtype, format=format_)
        wholes[suffix] = path.read_bytes()
    for suffix, whole in wholes.items():
        for kind in ("truncated", "flipped", "header", "hole"):
            for number in range(EACH):
                path = folder / f"{kind}-{number}.{suffix}"
                path.write_bytes(damaged(kind, whole, draw))
                yield path
        for other, content in wholes.items():
            path = folder / f"named-{other}.{suffix}"
            path.write_bytes(content)
            yield path
        for name, content in {
            "empty": b"",
            "nulls": bytes(5000),
            "noise": draw.randbytes(5000),
            "text": b"not audio at all\n" * 50,
            "magic": whole[:4],
            "twice": whole + whole,
            "behind": draw.randbytes(100) + whole,
        }.items():
            path = folder / f"{name}.{suffix}"
            path.write_bytes(content)
            yield path


def test_no_damage_raises_anything_but_a_line_or_hangs(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    told: Counter[str] = Counter()
    for path in files(tmp_path):
        for row in (
            Utterance("u", "x", path, path.name, "m:1"),
            Utterance("u", "x", path, path.name, "m:1", 0.3, 0.4),
        ):
            start = time.perf_counter()
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                length = stored_duration(row)
                assert length is None or length > 0
                try:
                    recording = load(row, RATE)
                except AudioError as error:
                    assert "\n" not in str(error)
                    assert path.name in str(error)
                    told["refused"] += 1
                else:
                    level = level_db(recording.samples, RATE)
                    speech_activity(recording.samples, RATE)
                    ratio = speech_to_noise(level)
                    signal = recording.signal
                    measured = [ratio, signal.bandwidth, signal.dc_offset, signal.channel_gap]
                    assert all(np.isfinite(value) for value in measured if value is not None)
                    assert np.isfinite(recording.samples).all()
                    told["measured"] += 1
            assert time.perf_counter() - start < LONGEST, path
    record_property("damaged audio files, each read twice", dict(told))
    assert told.total() >= 2 * 300
    assert told["refused"] > 100
    assert told["measured"] > 100
