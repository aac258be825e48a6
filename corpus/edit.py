"""Manifests out: a corpus with some of its rows dropped or changed, in the format it came in."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

from asr_gate.corpus.errors import UserError
from asr_gate.corpus.files import write_atomically
from asr_gate.corpus.formats.format import CLEAN, Change, Source, TextChange, Trim
from asr_gate.corpus.formats.lines import json_bytes
from asr_gate.corpus.labels import LabelRule
from asr_gate.corpus.read import locate, read_sources
from asr_gate.corpus.rows import columns, with_ids
from asr_gate.corpus.utterance import Corpus, SkippedRow, Utterance

Row: TypeAlias = Utterance | SkippedRow
Logs: TypeAlias = Mapping[Path, Sequence[Mapping[str, Any]] | None]
"""The lines of each log beside a manifest; None: an earlier one goes."""

LOGS = (".dropped.jsonl", ".corrections.jsonl")
"""Endings of what lies beside a manifest that was written here."""


@dataclass(frozen=True, slots=True)
class Edits:
    """What is done to the rows of a corpus, by id."""

    dropped: Set[str] = frozenset()
    texts: Mapping[str, str] = field(default_factory=dict)
    trims: Mapping[str, Trim] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Placed:
    """One manifest that was written."""

    manifest: str
    """The manifest that it was made from, as the user named it."""
    path: Path
    count: int
    """How many rows the manifest had."""
    rows: Sequence[Row]
    """Those of them that its logs are about."""


def write_edited(
    corpus: Corpus,
    edits: Edits,
    logs: Callable[[Source, Path, Sequence[Row]], Logs],
    *,
    about: Set[str],
    mark: str = CLEAN,
    out: Path | None = None,
    audio_root: Path | None = None,
    split: str | None = None,
    labels: Sequence[LabelRule] = (),
) -> list[Placed]:
    """Write the manifests of a corpus with some rows dropped or changed, and logs of that.

    Every other row stays as it is, byte for byte, rows of other splits too. Only what is changed,
    and an id that would change without the dropped rows, is written into its row. The result is
    read back before it takes its place, and has to give the same utterances.

    Args:
        corpus: as it was read.
        edits: what is done to its rows.
        logs: of a manifest that will lie at a path and had these rows of `about`, the lines of each
            log beside it; None: an earlier one goes.
        about: ids of the rows that logs may be about; the changed ones among them.
        mark: in the name of what is written by default.
        out: the file or folder to write; for several manifests, the folder to write them into.
            By default `train.clean.jsonl` beside `train.jsonl`.
        audio_root: as given to `read_corpus`.
        split: as given to `read_corpus`.
        labels: as given to `read_corpus`.

    Raises:
        UserError: no row is left, the format cannot be written, the rows would not find their audio
            from the new place, or something else stands there.
        OSError: no space, no permission.
    """
    found = [(name, source) for name in corpus.manifests for source in locate(name, split, labels)]
    sources = [source for _, source in found]
    for name, source in found:
        if source.mirror:
            raise UserError(
                f"{name}: lies in a store, where nothing is written; asr train leaves out the same "
                "rows, and clean.jsonl beside the report lists those that stay"
            )
    targets = [_target(source, mark, out, several=len(sources) > 1) for source in sources]
    _check_targets(sources, targets)
    changed = {*edits.texts, *edits.trims} - edits.dropped
    before = {id: row.text for id, row in with_ids(corpus.utterances, changed).items()}
    texts = {id: TextChange(before[id], new) for id, new in edits.texts.items() if id in before}
    trims = {id: trim for id, trim in edits.trims.items() if id in before}
    every_id = any(source.format.every_id for source in sources)

    def with_ids_of(change: Change) -> Change:
        wanted = {*change.dropped, *change.texts, *change.trims, *change.write_ids}
        return replace(change, ids=_ids_by_origin(corpus, None if every_id else wanted))

    change = with_ids_of(Change({}, edits.dropped, texts=texts, trims=trims))
    kept = _Kept(corpus, change)
    if not any(True for _ in kept.ids()):
        raise UserError(f"{', '.join(corpus.manifests)}: no row would be left; nothing is written")
    staged = [target.with_name(f".{os.getpid()}-{target.name}") for target in targets]
    written = [
        source.format.written(source, path, target)
        for source, path, target in zip(sources, staged, targets, strict=True)
    ]
    for source, target, new in zip(sources, targets, written, strict=True):
        if new is None:
            _check_audio_paths(source, target, kept)
    try:
        _stage(sources, staged, change, split)
        unread = [row for row in corpus.skipped if row.id not in edits.dropped]
        while unlike := _changed_ids(
            sources, targets, written, kept, unread, change, audio_root, split
        ):
            if unlike <= change.write_ids:  # they were to be written, and were not
                raise UserError(
                    f"{', '.join(corpus.manifests)}: the id {min(unlike)!r} would change, and the "
                    "format has no ids to write; give each row its own audio and audit again"
                )
            change = with_ids_of(replace(change, write_ids=change.write_ids | unlike))
            _stage(sources, staged, change, split)
        told = rows_with(corpus, about)
        placed = []
        for (manifest, source), path, target in zip(found, staged, targets, strict=True):
            holds = partial(source.format.holds, source)
            rows = [row for row in told.values() if holds(row.origin)]
            count = sum(map(holds, (origin for _, origin in _origins(corpus))))
            _move_into_place(path, target, logs(source, target, rows))
            placed.append(Placed(manifest, target, count, rows))
        return placed
    finally:
        for path in staged:
            _remove(path)


class _Kept:
    """The utterances that stay, as they are to be read back; gone through again and again."""

    def __init__(self, corpus: Corpus, change: Change) -> None:
        self._corpus = corpus
        self._change = change

    def ids(self) -> Iterator[tuple[str, str]]:
        """Ids and origins."""
        every = columns(self._corpus.utterances, "id", "origin")
        return ((one, origin) for one, origin in every if one not in self._change.dropped)

    def of(self, sources: Sequence[Source]) -> Iterator[Utterance]:
        """Those of some sources, in the order of the corpus, which is that of the sources."""
        for u in self._corpus.utterances:
            if u.id not in self._change.dropped and any(
                source.format.holds(source, u.origin) for source in sources
            ):
                yield _changed(u, self._change)


def _changed(u: Utterance, change: Change) -> Utterance:
    """An utterance that stays, as it is to be read back."""
    if correction := change.texts.get(u.id):
        u = replace(u, text=correction.after)
    if trim := change.trims.get(u.id):
        u = replace(u, offset=trim.offset, duration=trim.duration)
    return u


def _target(source: Source, mark: str, out: Path | None, *, several: bool) -> Path:
    default = source.format.target(source, mark)
    if out is None:
        return default
    inside = several or (not source.folder and out.is_dir())
    return out / default.name if inside else out


def _check_targets(sources: Sequence[Source], targets: Sequence[Path]) -> None:
    inputs = {path.resolve() for source in sources for path in source.format.inputs(source)}
    if len({target.resolve() for target in targets}) < len(targets):
        raise UserError(f"{targets[0]}: two manifests would be written to it; rename one of them")
    for source, target in zip(sources, targets, strict=True):
        ending = source.format.ending(source)
        if target.resolve() in inputs:
            raise UserError(f"{target}: is the corpus itself; choose another name with --out")
        if not target.parent.is_dir():
            raise UserError(f"{target.parent}: no such folder; make it, or leave out --out")
        if not target.name.lower().endswith(ending.lower()):
            raise UserError(f"{target}: {source.path} can only be written as {ending}")
        # A folder is replaced as a whole, so it has to be one that was written here.
        ours = any(target.with_name(f"{target.name}{log}").is_file() for log in LOGS)
        if source.folder and target.exists() and not (target.is_dir() and ours):
            raise UserError(
                f"{target}: is there and was not written by asr clean or asr correct; remove it"
            )


def _check_audio_paths(source: Source, target: Path, kept: _Kept) -> None:
    """Check that the rows of a source that is not read back will find their audio."""
    base = target if source.folder else target.parent
    for u in kept.of([source]):
        if isinstance(u.audio, Path) and (base / u.audio_name).absolute() != u.audio.absolute():
            raise _misplaced(target)


def _misplaced(target: Path) -> UserError:
    return UserError(
        f"{target}: its rows would not find their audio from there, because paths are relative to "
        "the manifest; leave out --out, or name a file beside the manifest"
    )


def _stage(
    sources: Sequence[Source], staged: Sequence[Path], change: Change, split: str | None
) -> None:
    """Write every manifest beside its target."""
    for source, path in zip(sources, staged, strict=True):
        source.format.write(source, path, change, split)


def _changed_ids(
    sources: Sequence[Source],
    targets: Sequence[Path],
    written: Sequence[Source | None],
    kept: _Kept,
    unread: Sequence[SkippedRow],
    change: Change,
    audio_root: Path | None,
    split: str | None,
) -> set[str]:
    """Ids of the rows that get other ids when they are read from where they were written.

    Raises:
        UserError: something else about them has changed.
    """
    pairs = [(source, new) for source, new in zip(sources, written, strict=True) if new is not None]
    expected = sum(
        source.format.holds(source, origin) for _, origin in kept.ids() for source, _ in pairs
    )
    if not expected:
        return set()
    news = [new for _, new in pairs]
    names = [str(new.path) for new in news]
    read = read_sources(news, names, audio_root=audio_root, split=split)
    skipped = sum(source.format.holds(source, row.origin) for source, _ in pairs for row in unread)
    if (expected, skipped) != (len(read.utterances), len(read.skipped)):
        raise _misplaced(targets[0])
    ours = kept.of([source for source, _ in pairs])
    same, unlike = True, set()
    for one, other in zip(ours, read.utterances, strict=True):
        if one.id in change.texts and one.text != other.text:
            raise UserError(
                f"{one.origin}: {one.text[:60]!r} would be read as {other.text[:60]!r} from this "
                "format; correct it otherwise"
            )
        same = same and _content(one) == _content(other)
        if one.id != other.id:
            unlike.add(one.id)
    if not same:
        raise _misplaced(targets[0])
    return unlike


def _content(u: Utterance) -> tuple[object, ...]:
    audio = u.audio.absolute() if isinstance(u.audio, Path) else None
    return audio, u.text, u.offset, u.duration, u.lang, u.domain, u.speaker, u.split


def rows_with(corpus: Corpus, ids: Set[str]) -> dict[str, Row]:
    """The rows of some ids, by id, those that cannot be audited last."""
    skipped = {row.id: row for row in corpus.skipped if row.id in ids}
    return {**with_ids(corpus.utterances, ids), **skipped}


def _origins(corpus: Corpus) -> Iterator[tuple[str, str]]:
    """Ids and origins of all rows, those that cannot be audited last."""
    yield from columns(corpus.utterances, "id", "origin")
    yield from ((row.id, row.origin) for row in corpus.skipped)


def _ids_by_origin(corpus: Corpus, wanted: Set[str] | None) -> dict[str, list[str]]:
    """The ids of all rows that stand where a wanted one does, by origin; None: of all rows."""
    places = None
    if wanted is not None:
        places = {origin for identity, origin in _origins(corpus) if identity in wanted}
    ids: dict[str, list[str]] = {}
    for identity, origin in _origins(corpus):
        if places is None or origin in places:
            ids.setdefault(origin, []).append(identity)
    return ids


def _move_into_place(staged: Path, target: Path, logs: Logs) -> None:
    """Move one manifest to its target, after the logs beside it."""
    for log, lines in logs.items():
        if lines is None:  # an earlier one would be wrong
            log.unlink(missing_ok=True)
        else:
            write_atomically(log, b"".join(json_bytes({**line}) + b"\n" for line in lines))
    if staged.is_dir():
        _remove(target)
    else:
        with staged.open("rb") as stream:
            os.fsync(stream.fileno())
    staged.replace(target)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
