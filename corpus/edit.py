"""Manifests out: a corpus with some of its rows dropped or changed, in the format it came in."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeAlias

from asr_gate.corpus.errors import UserError
from asr_gate.corpus.files import write_atomically
from asr_gate.corpus.formats.format import CLEAN, Change, Source, TextChange, Trim
from asr_gate.corpus.formats.lines import json_bytes
from asr_gate.corpus.labels import LabelRule
from asr_gate.corpus.read import locate, read_sources
from asr_gate.corpus.utterance import Corpus, SkippedRow, Utterance

Row: TypeAlias = Utterance | SkippedRow

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
    rows: Sequence[Row]
    """All rows that the manifest had."""


def write_edited(
    corpus: Corpus,
    edits: Edits,
    logs: Callable[[Path, Sequence[Row]], Mapping[Path, Sequence[Mapping[str, Any]] | None]],
    *,
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
        logs: of a manifest that will lie at a path and had these rows, the lines of each log
            beside it; None: an earlier one goes.
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
    ids: dict[str, list[str]] = {}
    for row in rows_of(corpus):
        ids.setdefault(row.origin, []).append(row.id)
    before = {u.id: u.text for u in corpus.utterances if u.id not in edits.dropped}
    texts = {id: TextChange(before[id], new) for id, new in edits.texts.items() if id in before}
    trims = {id: trim for id, trim in edits.trims.items() if id in before}
    change = Change(ids, edits.dropped, texts=texts, trims=trims)
    kept = [_changed(u, change) for u in corpus.utterances if u.id in before]
    if not kept:
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
            change = replace(change, write_ids=change.write_ids | unlike)
            _stage(sources, staged, change, split)
        placed = []
        for (manifest, source), path, target in zip(found, staged, targets, strict=True):
            rows = [row for row in rows_of(corpus) if source.format.holds(source, row.origin)]
            _move_into_place(path, target, logs(target, rows))
            placed.append(Placed(manifest, target, rows))
        return placed
    finally:
        for path in staged:
            _remove(path)


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


def _check_audio_paths(source: Source, target: Path, kept: Sequence[Utterance]) -> None:
    """Check that the rows of a source that is not read back will find their audio."""
    base = target if source.folder else target.parent
    for u in kept:
        if not source.format.holds(source, u.origin) or not isinstance(u.audio, Path):
            continue
        if (base / u.audio_name).absolute() != u.audio.absolute():
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
    kept: Sequence[Utterance],
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
    expected = [u for source, _ in pairs for u in kept if source.format.holds(source, u.origin)]
    if not expected:
        return set()
    news = [new for _, new in pairs]
    names = [str(new.path) for new in news]
    read = read_sources(news, names, audio_root=audio_root, split=split)
    found = list(zip(expected, read.utterances, strict=False))
    skipped = sum(source.format.holds(source, row.origin) for source, _ in pairs for row in unread)
    same = (len(expected), skipped) == (len(read.utterances), len(read.skipped))
    for one, other in found:
        if same and one.id in change.texts and one.text != other.text:
            raise UserError(
                f"{one.origin}: {one.text[:60]!r} would be read as {other.text[:60]!r} from this "
                "format; correct it otherwise"
            )
    if not same or any(_content(one) != _content(other) for one, other in found):
        raise _misplaced(targets[0])
    return {one.id for one, other in found if one.id != other.id}


def _content(u: Utterance) -> tuple[object, ...]:
    audio = u.audio.absolute() if isinstance(u.audio, Path) else None
    return audio, u.text, u.offset, u.duration, u.lang, u.domain, u.speaker, u.split


def rows_of(corpus: Corpus) -> list[Row]:
    """All rows, those that cannot be audited last."""
    return [*corpus.utterances, *corpus.skipped]


def _move_into_place(
    staged: Path, target: Path, logs: Mapping[Path, Sequence[Mapping[str, Any]] | None]
) -> None:
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
