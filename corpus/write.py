"""Manifests out: a corpus less some of its rows, in the format that it came in."""

from __future__ import annotations

import os
import shutil
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from asr_gate.corpus.errors import UserError
from asr_gate.corpus.files import write_atomically
from asr_gate.corpus.formats.format import Change, Correction, Source
from asr_gate.corpus.formats.lines import json_bytes
from asr_gate.corpus.labels import LabelRule
from asr_gate.corpus.read import locate, read_sources
from asr_gate.corpus.utterance import DEFAULT_DOMAIN, Corpus, SkippedRow, Utterance


@dataclass(frozen=True, slots=True)
class Written:
    """One manifest that was written."""

    manifest: str
    """The manifest that it was made from, as the user named it."""
    path: Path
    drop_log: Path
    """JSON lines: one for each dropped row, with the reason."""
    fix_log: Path | None
    """JSON lines: one for each corrected row, with its text before and after; None: there are none
    of them."""
    kept: int
    dropped: int
    fixed: int


def write_without(
    corpus: Corpus,
    dropped: Mapping[str, Mapping[str, Any]],
    *,
    texts: Mapping[str, str] | None = None,
    out: Path | None = None,
    audio_root: Path | None = None,
    split: str | None = None,
    labels: Sequence[LabelRule] = (),
) -> list[Written]:
    """Write the manifests of a corpus less some rows, each with a log of what was dropped.

    Every other row stays as it is, byte for byte, rows of other splits too. Only what is corrected,
    and an id that would change without the dropped rows, is written into its row. The result is
    read back before it takes its place, and has to give the same utterances.

    Args:
        corpus: as it was read.
        dropped: by the id of an utterance or a skipped row, its line of the drop log.
        texts: corrected transcripts by id.
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
    targets = [_target(source, out, several=len(sources) > 1) for source in sources]
    _check_targets(sources, targets)
    ids: dict[str, list[str]] = {}
    for row in _rows(corpus):
        ids.setdefault(row.origin, []).append(row.id)
    kept = [utterance for utterance in corpus.utterances if utterance.id not in dropped]
    corrections = {
        u.id: Correction(u.text, after)
        for u in kept
        if (after := (texts or {}).get(u.id, u.text)) != u.text
    }
    change = Change(ids, dropped.keys(), texts=corrections)
    kept = [replace(u, text=corrections[u.id].after) if u.id in corrections else u for u in kept]
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
        while unlike := _changed_ids(sources, targets, written, kept, audio_root, split):
            if unlike <= change.write_ids:  # they were to be written, and were not
                raise UserError(
                    f"{', '.join(corpus.manifests)}: the id {min(unlike)!r} would change, and the "
                    "format has no ids to write; give each row its own audio and audit again"
                )
            change = replace(change, write_ids=change.write_ids | unlike)
            _stage(sources, staged, change, split)
        return [
            _move_into_place(source, manifest, path, target, corpus, dropped, corrections)
            for (manifest, source), path, target in zip(found, staged, targets, strict=True)
        ]
    finally:
        for path in staged:
            _remove(path)


def clean_jsonl(corpus: Corpus, dropped: Collection[str]) -> bytes:
    """A corpus less some rows as NeMo-style JSONL, with absolute paths: it may lie anywhere.

    `write_without` writes it in the format that came in.
    """
    lines = []
    for u in corpus.utterances:
        if u.id in dropped:
            continue
        row = {
            "id": u.id,
            "audio_filepath": (
                str(u.audio.absolute()) if isinstance(u.audio, Path) else u.audio_name
            ),
            "text": u.text,
            "offset": u.offset or None,
            "duration": u.duration,
            "lang": u.lang,
            "domain": u.domain if u.domain != DEFAULT_DOMAIN else None,
            "speaker": u.speaker,
            "split": u.split,
        }
        lines.append({name: value for name, value in row.items() if value is not None})
    return b"".join(json_bytes(line) + b"\n" for line in lines)


def drop_log_of(target: Path) -> Path:
    """Where the dropped rows of a cleaned manifest are listed."""
    return target.with_name(f"{target.name}.dropped.jsonl")


def _target(source: Source, out: Path | None, *, several: bool) -> Path:
    default = source.format.target(source)
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
        old = target.is_dir() and drop_log_of(target).is_file()
        if source.folder and target.exists() and not old:
            raise UserError(f"{target}: is there and was not written by asr clean; remove it")


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
    same = len(expected) == len(read.utterances) and not read.skipped
    if not same or any(_content(one) != _content(other) for one, other in found):
        raise _misplaced(targets[0])
    return {one.id for one, other in found if one.id != other.id}


def _content(u: Utterance) -> tuple[object, ...]:
    audio = u.audio.absolute() if isinstance(u.audio, Path) else None
    return audio, u.text, u.offset, u.duration, u.lang, u.domain, u.speaker, u.split


def _rows(corpus: Corpus) -> list[Utterance | SkippedRow]:
    return [*corpus.utterances, *corpus.skipped]


def _move_into_place(
    source: Source,
    manifest: str,
    staged: Path,
    target: Path,
    corpus: Corpus,
    dropped: Mapping[str, Mapping[str, Any]],
    corrections: Mapping[str, Correction],
) -> Written:
    """Move one manifest to its target, and write its logs beside it."""
    rows = [row for row in _rows(corpus) if source.format.holds(source, row.origin)]
    gone = [row for row in rows if row.id in dropped]
    lines = [{"id": row.id, "origin": row.origin, **dropped[row.id]} for row in gone]
    drop_log, fix_log = drop_log_of(target), target.with_name(f"{target.name}.fixed.jsonl")
    write_atomically(drop_log, b"".join(json_bytes(line) + b"\n" for line in lines))
    fixed = [
        {"id": row.id, "origin": row.origin, "before": fix.before, "after": fix.after}
        for row in rows
        if (fix := corrections.get(row.id)) is not None
    ]
    if fixed:
        write_atomically(fix_log, b"".join(json_bytes(line) + b"\n" for line in fixed))
    else:  # an earlier one would be wrong
        fix_log.unlink(missing_ok=True)
    if staged.is_dir():
        _remove(target)
    else:
        with staged.open("rb") as stream:
            os.fsync(stream.fileno())
    staged.replace(target)
    kept = len(rows) - len(gone)
    log = fix_log if fixed else None
    return Written(manifest, target, drop_log, log, kept, len(gone), len(fixed))


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
