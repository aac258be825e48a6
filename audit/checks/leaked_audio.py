"""Rule D004, leaked-audio: `pages/D004.md` says what it finds."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING

from asr_gate.audit.checks.rule import Context, Found, Rule
from asr_gate.audit.checks.splits import Leak, Splits, named, split
from asr_gate.corpus.digests import Method, digests
from asr_gate.corpus.objects import RemoteAudio, remote_digests, remote_sizes
from asr_gate.corpus.utterance import Span, Utterance

if TYPE_CHECKING:
    from asr_gate.audit.records.judged import Judged


def _find(rows: Sequence[Judged], context: Context) -> Iterator[Found]:
    splits = Splits(context.corpus)
    if not splits.several:
        return
    holding: dict[str, dict[Span, list[Utterance]]] = {}
    for row, digest in _shared(splits.rows, context.policy.gate.audio):
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
    for row in context.corpus.utterances:
        if id(row) in leaks:
            leak = leaks[id(row)]
            yield Found(row.id, f"the same audio as {named(leak.other)}", counts=leak.counts)


def _shared(rows: Sequence[Utterance], method: Method) -> Iterator[tuple[Utterance, str]]:
    """Rows whose audio stands in several splits, with its digest.

    Files are hashed only where one of the same size stands in another split.
    """
    paths = {row.audio for row in rows if isinstance(row.audio, Path)}
    remote = {row.audio for row in rows if isinstance(row.audio, RemoteAudio)}
    sizes: dict[Path | RemoteAudio, int] = {path: _size(path) for path in paths}
    sizes.update(remote_sizes(remote).items())
    splits_of: dict[int, set[str]] = {}
    for row in rows:
        if isinstance(row.audio, (Path, RemoteAudio)):
            splits_of.setdefault(sizes[row.audio], set()).add(split(row))
    wanted = {one for one in sizes if sizes[one] > 0 and len(splits_of[sizes[one]]) > 1}
    hashed = remote_digests(remote & wanted, method, cached=True)
    found: dict[Path | RemoteAudio, str] = {one: digest for one, (digest, _) in hashed.items()}
    found.update(digests(sorted(paths & wanted), method).items())
    for row in rows:
        if not isinstance(row.audio, (Path, RemoteAudio)):
            yield row, hashlib.sha256(row.audio.read()).hexdigest()
        elif (digest := found.get(row.audio, "unreadable")) not in ("missing", "unreadable"):
            yield row, digest


def _size(path: Path) -> int:
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
