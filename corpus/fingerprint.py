"""The fingerprint of a corpus: one digest over rows, texts and audio bytes."""

from __future__ import annotations

import hashlib
import json
import os.path
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from corpus.utterance import Corpus, Utterance


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """Digests of a corpus."""

    digest: str
    """`sha256:…` over all rows, in no order."""
    rows: dict[str, str]
    """Digest of each row by utterance id: text, segment, labels and audio bytes."""
    content: dict[str, str]
    """Digest of audio, segment and text alone: equal for exact duplicates."""


def fingerprint(corpus: Corpus) -> Fingerprint:
    """Hash every row of a corpus and the bytes of its audio.

    Neither the folder of the corpus nor the order of its rows counts; names inside it do, because
    a report knows utterances by their ids (rows that share an id are told apart by their order).
    Audio that is missing hashes as missing; skipped rows count by their id.
    """
    sources = {_key(u): u for u in corpus.utterances}
    with ThreadPoolExecutor() as pool:  # hashing releases the interpreter lock
        audio = dict(zip(sources, pool.map(_audio_digest, sources.values()), strict=True))
    rows: dict[str, str] = {}
    content: dict[str, str] = {}
    for u in corpus.utterances:
        segment = [audio[_key(u)], u.offset, u.duration, u.text]
        rows[u.id] = _digest([*segment, u.lang, u.domain, u.speaker, u.id])
        content[u.id] = _digest(segment)
    skipped = [_digest(["skipped", row.id]) for row in corpus.skipped]
    return Fingerprint("sha256:" + _digest(sorted([*rows.values(), *skipped])), rows, content)


def _key(utterance: Utterance) -> str | int:
    """Recordings that several utterances share are hashed once."""
    audio = utterance.audio
    return str(audio) if isinstance(audio, Path) else id(audio)


def _audio_digest(utterance: Utterance) -> str:
    audio = utterance.audio
    if not isinstance(audio, Path):
        return hashlib.sha256(audio.read()).hexdigest()
    if not os.path.isfile(audio):  # noqa: PTH113  (Path.is_file raises on impossible names)
        return "missing"
    try:
        with audio.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError:
        return "unreadable"


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, ensure_ascii=True).encode()).hexdigest()
