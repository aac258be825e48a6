"""The fingerprint of a corpus: one digest over rows, texts and audio bytes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from asr_gate.corpus.digests import Method, digests
from asr_gate.corpus.utterance import Corpus, Utterance

PARTS = ("audio", "segment", "text", "labels")
"""Of a row's print, in the order in which a change is named."""


@dataclass(frozen=True, slots=True)
class RowPrint:
    """Digests of one row, short: they say what changed, the fingerprint says whether."""

    audio: str
    segment: str
    """Where in the recording."""
    text: str
    labels: str
    """Language, domain, speaker, split."""


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """Digests of a corpus."""

    digest: str
    """`sha256:…` over all rows, in no order."""
    rows: dict[str, RowPrint | None]
    """By id; None: the row was skipped."""
    content: dict[str, str]
    """Digest of audio, segment and text alone: equal for exact duplicates."""
    audio: Method = "full"
    """What of the audio was read."""


def fingerprint(corpus: Corpus, *, audio: Method = "full") -> Fingerprint:
    """Hash every row of a corpus and the bytes of its audio.

    Neither the folder of the corpus nor the order of its rows counts; names inside it do, because
    a report knows utterances by their ids (rows that share an id are told apart by their order).
    Audio that is missing hashes as missing; skipped rows count by their id.

    Args:
        corpus: whose rows.
        audio: "full": every byte; "sampled": of each file its size and 20 blocks.
    """
    files = [u.audio for u in corpus.utterances if isinstance(u.audio, Path)]
    sounds: dict[str | int, str] = {str(p): d for p, d in digests(files, audio).items()}
    rows: dict[str, RowPrint | None] = {row.id: None for row in corpus.skipped}
    content: dict[str, str] = {}
    whole = [_digest(["skipped", row.id]) for row in corpus.skipped]
    for u in corpus.utterances:
        key = _key(u)
        if key not in sounds and not isinstance(u.audio, Path):
            sounds[key] = hashlib.sha256(u.audio.read()).hexdigest()
        segment, labels = [u.offset, u.duration], [u.lang, u.domain, u.speaker, u.split]
        content[u.id] = _digest([sounds[key], segment, u.text])
        whole.append(_digest([content[u.id], labels, u.id]))
        rows[u.id] = RowPrint(
            sounds[key][:16], _digest(segment)[:16], _digest(u.text)[:16], _digest(labels)[:16]
        )
    return Fingerprint("sha256:" + _digest([audio, sorted(whole)]), rows, content, audio)


def to_lines(rows: Mapping[str, RowPrint | None]) -> bytes:
    """The prints of rows as JSON lines, by id."""
    lines = [
        {"id": identity}
        | ({"skipped": True} if row is None else {part: getattr(row, part) for part in PARTS})
        for identity, row in sorted(rows.items())
    ]
    return "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines).encode()


def from_lines(content: bytes) -> dict[str, RowPrint | None]:
    """The prints that `to_lines` wrote.

    Raises:
        ValueError: they are not those.
    """
    rows: dict[str, RowPrint | None] = {}
    try:
        for line in content.splitlines():
            row = json.loads(line)
            rows[row["id"]] = (
                None if "skipped" in row else RowPrint(**{part: row[part] for part in PARTS})
            )
    except (KeyError, TypeError) as error:
        raise ValueError(f"not a row's print ({error})") from error
    return rows


def differences(
    then: Mapping[str, RowPrint | None], now: Mapping[str, RowPrint | None]
) -> Iterator[tuple[str, str]]:
    """What became of the rows: id and `added`, `removed`, or what of it changed."""
    for identity in sorted(then.keys() | now.keys()):
        if identity not in then:
            yield identity, "added"
        elif identity not in now:
            yield identity, "removed"
        elif then[identity] != now[identity]:
            yield identity, _changed(then[identity], now[identity])


def _changed(then: RowPrint | None, now: RowPrint | None) -> str:
    if then is None or now is None:
        return "skipped now" if now is None else "skipped then"
    changed: Iterable[str] = (p for p in PARTS if getattr(then, p) != getattr(now, p))
    return f"{' and '.join(changed)} changed"


def _key(utterance: Utterance) -> str | int:
    """Recordings that several utterances share are hashed once."""
    audio = utterance.audio
    return str(audio) if isinstance(audio, Path) else id(audio)


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, ensure_ascii=True).encode()).hexdigest()
