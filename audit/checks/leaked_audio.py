"""Rule D004, leaked-audio: `pages/D004.md` says what it finds."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Container, Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import islice
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING

from asr_gate.audit.checks.rule import Context, Found, Rule
from asr_gate.audit.checks.splits import Leak, Splits, named
from asr_gate.corpus.dealt import Dealt
from asr_gate.corpus.digests import Method, digests
from asr_gate.corpus.fingerprint import ABSENT, AT_ONCE
from asr_gate.corpus.objects import RemoteAudio, remote_digests, remote_sizes
from asr_gate.corpus.rows import Columns, chosen, columns, places
from asr_gate.corpus.storage import is_url
from asr_gate.corpus.utterance import AudioBytes, Corpus, Span, Utterance

if TYPE_CHECKING:
    from asr_gate.audit.records.judged import Judged


def _find(rows: Sequence[Judged], context: Context) -> Iterator[Found]:
    splits = Splits(context.corpus)
    if not splits.several:
        return
    judged, beside = _shared(context.corpus, context.policy.gate.audio)
    splits.judge(row for row, _ in judged)
    holding: dict[str, dict[Span, list[Utterance]]] = {}
    for row, digest in (*judged, *beside):
        holding.setdefault(digest, {}).setdefault(_span(row), []).append(row)
    leaks: dict[int, Leak] = {}
    for by_span in holding.values():
        examples = {span: splits.examples(same) for span, same in by_span.items()}
        overlapping = _overlapping(list(examples))
        for span, same in by_span.items():
            others = [other for near in overlapping[span] for other in examples[near]]
            for row in same:
                leak = splits.leak(row, others)
                if leak is not None:
                    leaks[id(row)] = leak
    for row, _ in judged:
        if id(row) in leaks:
            leak = leaks[id(row)]
            yield Found(row.id, f"the same audio as {named(leak.other)}", counts=leak.counts)


_Heard = list[tuple[Utterance, str]]


def _shared(corpus: Corpus, method: Method) -> tuple[_Heard, _Heard]:
    """Rows whose audio stands in several splits, with its digest; those that are judged first.

    Files are hashed only where one of the same size stands in another split.
    """
    sides = corpus.utterances, corpus.others
    first: dict[int, str] = {}  # the split of each size, and the sizes of several
    sizes: set[int] = set()
    sizes_of = [_sizes(rows) for rows in sides]
    for rows, stored in zip(sides, sizes_of, strict=True):
        for size, (name,) in zip(stored.column(0), columns(rows, "split"), strict=True):
            if first.setdefault(size, name or "") != (name or ""):
                sizes.add(size)
    heard = [
        _digests(rows, stored.column(0), sizes - {0}, method)
        for rows, stored in zip(sides, sizes_of, strict=True)
    ]
    several = _in_several(
        (digest, name or "")
        for rows, digests_of in zip(sides, heard, strict=True)
        for (name,), digest in zip(columns(rows, "split"), digests_of.column(0), strict=True)
    )
    judged, others = (
        list(chosen(rows, digests_of.column(0), lambda digest: hash(digest) in several))
        for rows, digests_of in zip(sides, heard, strict=True)
    )
    return judged, others


def _digests(
    rows: Sequence[Utterance], stored: Iterator[int], sizes: Container[int], method: Method
) -> Columns:
    """The digest of each row's audio; empty where no file of its size is elsewhere.

    Args:
        rows: rows of a corpus.
        stored: the size of each row's audio.
        sizes: those that stand in several splits.
        method: how much of the audio is read.
    """
    found = Columns(1)
    audio = places(rows)
    while some := list(islice(audio, AT_ONCE)):
        alike = {
            one for one, size in zip(some, islice(stored, len(some)), strict=True) if size in sizes
        }
        files = sorted(Path(one) for one in alike if isinstance(one, str) and not is_url(one))
        hashed = {str(path): digest for path, digest in digests(files, method).items()}
        remote = remote_digests(_remote(alike), method, cached=True)
        hashed |= {one.url: digest for one, (digest, _) in remote.items()}
        for one in some:
            if isinstance(one, str):
                digest = hashed.get(one, "")
            else:
                digest = hashlib.sha256(one.read()).hexdigest()
            found.append(("" if digest in ABSENT else digest,))
    return found


def _sizes(rows: Sequence[Utterance]) -> Columns:
    """Bytes of each row's file or object; 0 where there is none, and of what is embedded."""
    found = Columns(1)
    audio = places(rows)
    size_of = lru_cache(_size)  # segments of one recording mostly follow on each other
    while some := list(islice(audio, AT_ONCE)):
        remote = {one.url: size for one, size in remote_sizes(_remote(some)).items()}
        for one in some:
            if not isinstance(one, str):
                found.append((0,))
            else:
                found.append((remote[one] if one in remote else size_of(one),))
    return found


def _remote(audio: Iterable[str | AudioBytes]) -> list[RemoteAudio]:
    return [RemoteAudio(one) for one in audio if isinstance(one, str) and is_url(one)]


def _in_several(digests: Iterable[tuple[str, str]]) -> set[int]:
    """Hashes of the digests that stand in several splits, of pairs of digest and split."""
    dealt = Dealt(16)
    for digest, name in digests:
        if digest:
            pair = hash(digest), hash(name)
            dealt.add(b"".join(one.to_bytes(8, signed=True) for one in pair))
    found: set[int] = set()
    for bucket in dealt.buckets():
        counts = Counter(pair[:8] for pair in set(bucket))
        found |= {int.from_bytes(one, signed=True) for one in counts if counts[one] > 1}
    return found


def _size(path: str) -> int:
    """Bytes of a file; 0 where there is none."""
    try:
        return os.path.getsize(path) if os.path.isfile(path) else 0  # noqa: PTH113, PTH202
    except (OSError, ValueError):
        return 0


def _span(row: Utterance) -> Span:
    return row.offset, inf if row.duration is None else row.offset + row.duration


def _overlapping(spans: Sequence[Span]) -> dict[Span, list[Span]]:
    """For each stretch of one recording those that are mostly the same, itself among them."""
    found = {span: [span] for span in spans}
    ordered = sorted(spans)
    for number, one in enumerate(ordered):
        for other in ordered[number + 1 :]:
            if other[0] >= one[1]:
                break
            if _overlap(one, other):
                found[one].append(other)
                found[other].append(one)
    return found


def _overlap(one: Span, other: Span) -> bool:
    """Whether two stretches share more than half of the shorter one."""
    (start, end), (begin, stop) = one, other
    shorter = min(end - start, stop - begin)
    shared = min(end, stop) - max(start, begin)
    return shared > shorter / 2 if shorter < inf else shared > 0


RULE = Rule("D004", _find, whole_corpus=True)
