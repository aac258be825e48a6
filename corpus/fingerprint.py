"""The fingerprint of a corpus: one digest over all rows, texts and audio bytes."""

from __future__ import annotations

import hashlib
import heapq
import json
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import chain, groupby, islice, pairwise
from operator import itemgetter
from pathlib import Path
from typing import IO

from asr_gate.corpus.dealt import Dealt, big_file_folder
from asr_gate.corpus.digests import Method, digests
from asr_gate.corpus.inside import Inside
from asr_gate.corpus.objects import How, RemoteAudio, remote_digests
from asr_gate.corpus.rows import Columns, columns, places
from asr_gate.corpus.storage import is_url
from asr_gate.corpus.streamed import Streamed, some
from asr_gate.corpus.strict import parse_json
from asr_gate.corpus.utterance import Corpus, Utterance

ABSENT = ("missing", "unreadable")
"""What stands in place of the digest of audio that cannot be hashed."""

RUN = 100_000
"""Row digests that are sorted in memory: some 50 MB."""

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
    rows: Mapping[str, RowDigest | None]
    """Row digests by id; None: the row was skipped."""
    content: Mapping[str, str]
    """Digests of audio, segment and text together, by id: equal for exact duplicates."""
    audio: Method = "full"
    """How much of the audio was read."""
    sounds: Mapping[str, str] = field(default_factory=dict)
    """Digest of each utterance's audio, by id; `missing` or `unreadable` for what is not there."""
    taken_from: dict[How, int] = field(default_factory=dict)
    """Of the utterances whose audio lies in a store: what their digests were taken from."""

    def only(self, ids: Iterable[str]) -> Fingerprint:
        """The digests of the audio of some rows, in memory, and none of the rest."""
        return replace(self, rows={}, content={}, sounds=some(self.sounds, ids))

    def comparable(self) -> Mapping[str, str]:
        """`content` of the utterances whose audio is there; of others nothing tells copies."""
        absent = sum(sound in ABSENT for _, sound in self.sounds.items())
        if not absent:
            return self.content

        def there() -> Iterator[tuple[str, str]]:
            every = zip(self.content.items(), self.sounds.items(), strict=True)
            return (row for row, (_, sound) in every if sound not in ABSENT)

        return Streamed(there, len(self.content) - absent)


AT_ONCE = 4096
"""Rows whose audio is hashed together."""
REMEMBERED = 300_000
"""Recordings whose digest is kept while the rows that share them come: some 100 MB."""


def fingerprint(corpus: Corpus, *, audio: Method = "full", cached: bool = True) -> Fingerprint:
    """Hash every row of a corpus and the bytes of its audio.

    The folder of the corpus and the order of its rows do not matter. Ids do, because a report knows
    utterances by them. Missing audio counts as missing, and skipped rows count by their id.

    Args:
        corpus: the rows to hash.
        audio: "full": every byte; "sampled": the size of each file and 20 blocks of it.
        cached: whether digests of unchanged files may come from the user's cache.
    """
    utterances = corpus.utterances
    found, whole, taken_from = Columns(2), Dealt(32), Counter[How]()
    for row in corpus.skipped:
        whole.add(hashlib.sha256(json.dumps(["skipped", row.id]).encode()).digest())
    described = columns(utterances, *_DESCRIBED)
    for (identity, text, offset, duration, *labels), (sound, how) in zip(
        described, _sounds(utterances, audio, cached), strict=True
    ):
        if how is not None:
            taken_from[how] += 1
        content = _content(sound, offset, duration, text)
        found.append((sound, content))
        line = f'["{content}", {_spelled(*labels)}, {_quoted(identity)}]'
        whole.add(hashlib.sha256(line.encode()).digest())

    def ids() -> Iterator[str]:
        return (identity for (identity,) in columns(utterances, "id"))

    def every_id() -> Iterator[str]:
        return chain((row.id for row in corpus.skipped), ids())

    def heard() -> Iterator[tuple[str, str]]:
        return zip(ids(), found.column(0), strict=True)

    def said() -> Iterator[tuple[str, str]]:
        return zip(ids(), found.column(1), strict=True)

    def digested() -> Iterator[tuple[str, RowDigest | None]]:
        for row in corpus.skipped:
            yield row.id, None
        rows = columns(utterances, *_DESCRIBED)
        for (identity, text, offset, duration, *labels), sound in zip(
            rows, found.column(0), strict=True
        ):
            parts = _short(_segment(offset, duration)), _short(_quoted(text)), _labels(*labels)
            yield identity, RowDigest(sound[:16], *parts)

    many = len(utterances)
    return Fingerprint(
        _total(audio, whole),
        Streamed(digested, many + len(corpus.skipped), every_id),
        Streamed(said, many),
        audio,
        Streamed(heard, many),
        dict(sorted(taken_from.items())),
    )


_DESCRIBED = ("id", "text", "offset", "duration", "lang", "domain", "speaker", "split")


def _sounds(
    rows: Sequence[Utterance], audio: Method, cached: bool
) -> Iterator[tuple[str, How | None]]:
    """Digests of the audio of all rows, in their order; each recording is hashed once.

    With what they were taken from, if the audio lies in a store.
    """
    known: dict[str | Inside | int, tuple[str, How | None]] = {}
    audio_places = places(rows)
    while some := list(islice(audio_places, AT_ONCE)):
        if len(known) > REMEMBERED:
            known.clear()
        named = dict.fromkeys(one for one in some if isinstance(one, str))
        new = [one for one in named if one not in known]
        files = [Path(one) for one in new if not is_url(one)]
        known |= {str(path): (d, None) for path, d in digests(files, audio, cached=cached).items()}
        objects = [RemoteAudio(one) for one in new if is_url(one)]
        remote = remote_digests(objects, audio, cached=cached)
        known |= {one.url: found for one, found in remote.items()}
        for one in some:
            if isinstance(one, str):
                yield known[one]
                continue
            # What is read from columns is made anew, and two of them may have one address.
            key = one if isinstance(one, Inside) else id(one)
            if key not in known:
                known[key] = hashlib.sha256(one.read()).hexdigest(), None
            yield known[key]


def _total(audio: Method, whole: Dealt) -> str:
    """The digest over all rows: of `[audio, sorted digests]` as JSON."""
    total = hashlib.sha256(f"[{_quoted(audio)}, [".encode())
    before = ""
    for bucket in whole.buckets():
        if bucket:
            total.update((before + ", ".join(f'"{one.hex()}"' for one in sorted(bucket))).encode())
            before = ", "
    total.update(b"]]")
    return f"sha256:{total.hexdigest()}"


def _content(sound: str, offset: float, duration: float | None, text: str) -> str:
    line = f"[{_quoted(sound)}, {_segment(offset, duration)}, {_quoted(text)}]"
    return hashlib.sha256(line.encode()).hexdigest()


def _segment(offset: float, duration: float | None) -> str:
    """As JSON spells it; `json.dumps` takes ten times as long."""
    return f"[{offset!r}, {'null' if duration is None else repr(duration)}]"


@lru_cache(maxsize=10_000)
def _spelled(*labels: str | None) -> str:
    return json.dumps(labels)


@lru_cache(maxsize=10_000)
def _labels(*labels: str | None) -> str:
    return _short(_spelled(*labels))


def to_lines(rows: Iterable[tuple[str, RowDigest | None]]) -> Iterator[bytes]:
    """Row digests in the order of their ids, each as a line of JSON."""
    for identity, row in rows:
        what = (
            '"skipped": true'
            if row is None
            else f'"audio": "{row.audio}", "segment": "{row.segment}", "text": "{row.text}", '
            f'"labels": "{row.labels}"'
        )
        yield f'{{"id": {_as_written(identity)}, {what}}}\n'.encode()


def from_lines(lines: Iterable[bytes]) -> Iterator[tuple[str, RowDigest | None]]:
    """The row digests that `to_lines` wrote.

    Raises:
        ValueError: a line is something else, or does not come in the order of the ids.
    """
    before = None
    try:
        for line in lines:
            row = parse_json(line)
            digests = None if "skipped" in row else RowDigest(**{part: row[part] for part in PARTS})
            if before is not None and row["id"] <= before:
                raise ValueError(f"{str(row['id'])[:40]!r} is not in the order of the ids")
            before = row["id"]
            yield before, digests
    except (KeyError, TypeError) as error:
        raise ValueError(f"not a row digest ({error})") from error


def in_order(
    rows: Mapping[str, RowDigest | None],
) -> Iterator[tuple[str, RowDigest | None]]:
    """Row digests in the order of their ids, however many there are.

    Rows that come in another order are sorted in runs on disk, which are then merged.
    """
    if all(one < other for one, other in pairwise(rows)):
        yield from rows.items()
        return
    stream = iter(rows.items())
    runs: list[IO[bytes]] = []
    while some := sorted(islice(stream, RUN), key=itemgetter(0)):
        if not runs and len(some) < RUN:
            yield from some
            return
        run = tempfile.TemporaryFile(dir=big_file_folder())  # noqa: SIM115
        run.writelines(to_lines(some))
        run.seek(0)
        runs.append(run)
    yield from heapq.merge(*map(from_lines, runs), key=itemgetter(0))


def differences(
    then: Iterable[tuple[str, RowDigest | None]], now: Iterable[tuple[str, RowDigest | None]]
) -> Iterator[tuple[str, str]]:
    """The rows that differ: id, and `added`, `removed` or which fields changed.

    Args:
        then: row digests in the order of their ids.
        now: the same, later.
    """
    both = heapq.merge(
        ((identity, 0, row) for identity, row in then),
        ((identity, 1, row) for identity, row in now),
        key=itemgetter(0, 1),
    )
    for identity, same in groupby(both, key=itemgetter(0)):
        sides = {side: row for _, side, row in same}
        if len(sides) < 2:
            yield identity, "added" if 1 in sides else "removed"
        elif sides[0] != sides[1]:
            yield identity, _changed(sides[0], sides[1])


def _changed(then: RowDigest | None, now: RowDigest | None) -> str:
    if then is None or now is None:
        return "skipped now" if now is None else "skipped then"
    changed = [part for part in PARTS if getattr(then, part) != getattr(now, part)]
    if "audio" not in changed or now.audio not in ABSENT:
        return f"{' and '.join(changed)} changed"
    others = " and ".join(part for part in changed if part != "audio")
    return f"audio is {now.audio}" + (f", {others} changed" if others else "")


_quoted = json.encoder.encode_basestring_ascii
"""A string as `json.dumps` spells it."""
_as_written = json.encoder.encode_basestring
"""The same with its letters as they are."""


def _short(spelled: str) -> str:
    return hashlib.sha256(spelled.encode()).hexdigest()[:16]
