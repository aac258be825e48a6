"""What people hear in the page of a report: short Ogg files and their waveforms."""

from __future__ import annotations

import base64
import hashlib
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from asr_gate.corpus.cache import Cache
from asr_gate.corpus.digests import digest_of, digests
from asr_gate.corpus.objects import RemoteAudio, prefetched, remote_digests
from asr_gate.corpus.speech.audio import AudioError
from asr_gate.corpus.speech.decoding import Decoder
from asr_gate.corpus.utterance import Utterance

RATE = 16000
COMPRESSION = 0.9
"""About 28 kb/s: libsndfile's scale of Vorbis, best (0) to smallest (1)."""
PEAKS = 120
"""Bars of a waveform."""
_ENCODING = ["clip", "vorbis", RATE, COMPRESSION, PEAKS, soundfile.__libsndfile_version__]
"""What decides how a clip is encoded."""


@dataclass(frozen=True, slots=True)
class Clip:
    """The audio of one utterance."""

    sound: bytes
    """Vorbis in Ogg, mono."""
    peaks: str
    """Base64 of `PEAKS` bytes, 0 to 255 of full scale."""


def clips(
    utterances: Sequence[Utterance], cache: Cache | None = None
) -> Iterator[tuple[str, Clip]]:
    """Decode and encode utterances; those that cannot be decoded are left out.

    Args:
        utterances: those that are heard.
        cache: of what was encoded before, for which every byte of the audio is read; closed at the
            end.

    Yields:
        Ids and clips, in order.
    """
    decoder = Decoder()
    paths = [u.audio for u in utterances if isinstance(u.audio, Path)] if cache else []
    remote = [u.audio for u in utterances if isinstance(u.audio, RemoteAudio)] if cache else []
    hashed = remote_digests(remote, "full", cached=True)
    files: dict[object, str] = {one: digest for one, (digest, _) in hashed.items()}
    files.update((path, digest) for path, digest in digests(paths, "full").items())
    try:
        for u in prefetched(utterances, lambda u: u.audio):
            sound, key = None, ""
            if cache is not None:
                sound = _sound(u, files)
                key = digest_of([*_ENCODING, sound, u.offset, u.duration])
                if (kept := cache.find(key)) is not None:
                    yield u.id, _from_bytes(kept)
                    continue
            try:
                samples = decoder.load(u, RATE, (sound, "full") if sound else None).samples
            except AudioError:
                continue  # the report says of it that it cannot be read
            encoded = _heights(samples) + vorbis(samples)
            if cache is not None:
                cache.keep(key, encoded)
            yield u.id, _from_bytes(encoded)
    finally:
        decoder.stop()
        if cache is not None:
            cache.close()


def _sound(u: Utterance, files: Mapping[object, str]) -> str:
    """The digest of an utterance's audio."""
    if isinstance(u.audio, (Path, RemoteAudio)):
        return files[u.audio]
    return hashlib.sha256(u.audio.read()).hexdigest()


def _from_bytes(encoded: bytes) -> Clip:
    """A clip from its `PEAKS` heights and its sound, one after the other."""
    return Clip(encoded[PEAKS:], base64.b64encode(encoded[:PEAKS]).decode())


def vorbis(samples: NDArray[np.float32]) -> bytes:
    """Samples at `RATE`, mono, shape `(n,)`, as Vorbis in Ogg.

    Opus would be a fifth smaller, but libsndfile takes 12 times as long to write it: longer than
    all the rest of an audit of so much audio.
    """
    buffer = io.BytesIO()
    soundfile.write(
        buffer, samples, RATE, format="OGG", subtype="VORBIS", compression_level=COMPRESSION
    )
    return buffer.getvalue()


def _heights(samples: NDArray[np.float32]) -> bytes:
    bars = np.array_split(np.abs(samples), PEAKS)
    return bytes(round(255 * min(1.0, float(bar.max()))) if len(bar) else 0 for bar in bars)
