"""The fingerprint of a corpus: one digest over all rows, texts and audio bytes."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from asr_gate.corpus.digests import Method, digests
from asr_gate.corpus.objects import How, RemoteAudio, remote_digests
from asr_gate.corpus.strict import parse_json
from asr_gate.corpus.utterance import Corpus, Utterance

ABSENT = ("missing", "unreadable")
"""What stands in place of the digest of audio that cannot be hashed."""

PARTS = ("audio", "segment", "text", "labels")
"""Fields of a row digest, in the order in which messages name what changed."""


@dataclass(frozen=True, slots=True)
class RowDigest:
    """Short digests of one row. The fingerprint tells whether data changed, these tell what."""

    audio: str
    segment: str
    """Offset and duration in the recording."""
    text: str
    labels: str
    """Language, domain, speaker, split."""


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """Digests of a corpus."""

    digest: str
    """`sha256:…` over all rows; their order does not matter."""
    rows: dict[str, RowDigest | None]
    """Row digests by id; None: the row was skipped."""
    content: dict[str, str]
    """Digests of audio, segment and text together, by id: equal for exact duplicates."""
    audio: Method = "full"
    """How much of the audio was read."""
    sounds: dict[str, str] = field(default_factory=dict)
    """Digest of each utterance's audio, by id; `missing` or `unreadable` for what is not there."""
    taken_from: dict[How, int] = field(default_factory=dict)
    """Of the utterances whose audio lies in a store: what their digests were taken from."""

    def comparable(self) -> dict[str, str]:
        """`content` of the utterances whose audio is there; of others nothing tells copies."""
        return {
            identity: digest
            for identity, digest in self.content.items()
            if self.sounds.get(identity) not in ("missing", "unreadable")
        }


def fingerprint(corpus: Corpus, *, audio: Method = "full", cached: bool = True) -> Fingerprint:
    """Hash every row of a corpus and the bytes of its audio.

    The folder of the corpus and the order of its rows do not matter. Ids do, because a report knows
    utterances by them. Missing audio counts as missing, and skipped rows count by their id.

    Args:
        corpus: the rows to hash.
        audio: "full": every byte; "sampled": the size of each file and 20 blocks of it.
        cached: whether digests of unchanged files may come from the user's cache.
    """
    files = [u.audio for u in corpus.utterances if isinstance(u.audio, Path)]
    sounds: dict[str | int, str] = {
        str(p): d for p, d in digests(files, audio, cached=cached).items()
    }
    remote = remote_digests(
        (u.audio for u in corpus.utterances if isinstance(u.audio, RemoteAudio)),
        audio,
        cached=cached,
    )
    sounds |= {one.url: digest for one, (digest, _) in remote.items()}
    how = Counter(remote[u.audio][1] for u in corpus.utterances if isinstance(u.audio, RemoteAudio))
    rows: dict[str, RowDigest | None] = {row.id: None for row in corpus.skipped}
    content: dict[str, str] = {}
    whole = [_digest(["skipped", row.id]) for row in corpus.skipped]
    for u in corpus.utterances:
        key = _key(u)
        if key not in sounds and not isinstance(u.audio, Path):
            sounds[key] = hashlib.sha256(u.audio.read()).hexdigest()
        segment, labels = [u.offset, u.duration], [u.lang, u.domain, u.speaker, u.split]
        content[u.id] = _digest([sounds[key], segment, u.text])
        whole.append(_digest([content[u.id], labels, u.id]))
        rows[u.id] = RowDigest(
            sounds[key][:16], _digest(segment)[:16], _digest(u.text)[:16], _digest(labels)[:16]
        )
    by_id = {u.id: sounds[_key(u)] for u in corpus.utterances}
    whole_digest = "sha256:" + _digest([audio, sorted(whole)])
    return Fingerprint(whole_digest, rows, content, audio, by_id, dict(sorted(how.items())))


def to_lines(rows: Mapping[str, RowDigest | None]) -> bytes:
    """Row digests as JSON lines, in the order of their ids."""
    lines = [
        {"id": identity}
        | ({"skipped": True} if row is None else {part: getattr(row, part) for part in PARTS})
        for identity, row in sorted(rows.items())
    ]
    return "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines).encode()


def from_lines(content: bytes) -> dict[str, RowDigest | None]:
    """The row digests that `to_lines` wrote.

    Raises:
        ValueError: the content is something else.
    """
    rows: dict[str, RowDigest | None] = {}
    try:
        for line in content.splitlines():
            row = parse_json(line)
            rows[row["id"]] = (
                None if "skipped" in row else RowDigest(**{part: row[part] for part in PARTS})
            )
    except (KeyError, TypeError) as error:
        raise ValueError(f"not a row digest ({error})") from error
    return rows


def differences(
    then: Mapping[str, RowDigest | None], now: Mapping[str, RowDigest | None]
) -> Iterator[tuple[str, str]]:
    """The rows that differ: id, and `added`, `removed` or which fields changed."""
    for identity in sorted(then.keys() | now.keys()):
        if identity not in then:
            yield identity, "added"
        elif identity not in now:
            yield identity, "removed"
        elif then[identity] != now[identity]:
            yield identity, _changed(then[identity], now[identity])


def _changed(then: RowDigest | None, now: RowDigest | None) -> str:
    if then is None or now is None:
        return "skipped now" if now is None else "skipped then"
    changed = [part for part in PARTS if getattr(then, part) != getattr(now, part)]
    if "audio" not in changed or now.audio not in ABSENT:
        return f"{' and '.join(changed)} changed"
    others = " and ".join(part for part in changed if part != "audio")
    return f"audio is {now.audio}" + (f", {others} changed" if others else "")


def _key(utterance: Utterance) -> str | int:
    """What identifies a recording, so that one that several utterances share is hashed once."""
    audio = utterance.audio
    if isinstance(audio, RemoteAudio):
        return audio.url
    return str(audio) if isinstance(audio, Path) else id(audio)


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, ensure_ascii=True).encode()).hexdigest()
