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
from asr_gate.corpus.readers import Source, locate, read_sources
from asr_gate.corpus.utterance import DEFAULT_DOMAIN, Corpus, SkippedRow, Utterance
from asr_gate.corpus.writers import huggingface, kaldi, lhotse_supervisions
from asr_gate.corpus.writers.change import Change
from asr_gate.corpus.writers.lines import json_bytes, json_lines, store, table


@dataclass(frozen=True, slots=True)
class Written:
    """One manifest that was written."""

    manifest: str
    """The manifest that it was made from, as it was named."""
    path: Path
    ledger: Path
    kept: int
    dropped: int


def write_without(
    corpus: Corpus,
    dropped: Mapping[str, Mapping[str, Any]],
    *,
    out: Path | None = None,
    audio_root: Path | None = None,
    split: str | None = None,
) -> list[Written]:
    """Write the manifests of a corpus less some rows, each with a ledger of what was dropped.

    Every other row stays as it is, byte for byte, rows of other splits too; only where a row's id
    would change, because it was made from what else there was, it is written into the row. What
    was written is read back before it takes its place, and has to be the same utterances.

    Args:
        corpus: as it was read.
        dropped: by the id of an utterance or a skipped row, its line of the ledger.
        out: the file or folder to write; for several manifests, the folder that theirs go into.
            By default `train.clean.jsonl` beside `train.jsonl`.
        audio_root: as given to `read_corpus`.
        split: likewise.

    Raises:
        UserError: no row is left, the format cannot be written, or it would go where its audio
            is not found or something else stands.
        OSError: no space, no permission.
    """
    sources = [locate(manifest, split) for manifest in corpus.manifests]
    targets = [_target(source, out, several=len(sources) > 1) for source in sources]
    _check_targets(sources, targets)
    ids: dict[str, list[str]] = {}
    for row in _rows(corpus):
        ids.setdefault(row.origin, []).append(row.id)
    change = Change(ids, dropped.keys())
    kept = [utterance for utterance in corpus.utterances if utterance.id not in dropped]
    if not kept:
        raise UserError(f"{', '.join(corpus.manifests)}: no row would be left; nothing is written")
    for source, target in zip(sources, targets, strict=True):
        _check_paths(source, target, kept)
    places = [target.with_name(f".{os.getpid()}-{target.name}") for target in targets]
    back = [_read_back(*three) for three in zip(sources, targets, places, strict=True)]
    try:
        _stage(sources, places, change, split)
        while unlike := _unlike(sources, targets, back, kept, audio_root, split):
            assert not unlike <= change.named, f"written with their ids and read without: {unlike}"
            change = replace(change, named=change.named | unlike)
            _stage(sources, places, change, split)
        return [
            _settle(source, manifest, place, target, corpus, dropped)
            for source, manifest, place, target in zip(
                sources, corpus.manifests, places, targets, strict=True
            )
        ]
    finally:
        for place in places:
            _remove(place)


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


def ledger_of(target: Path) -> Path:
    """Where it is written what was dropped, and why."""
    return target.with_name(f"{target.name}.ledger.jsonl")


def _target(source: Source, out: Path | None, *, several: bool) -> Path:
    """Where one manifest goes."""
    if isinstance(source.path, str):
        name = source.path.removeprefix("hf:").replace("/", "--")
        beside = Path.cwd() / f"{name}.clean"
    else:
        path, ending = source.path, _ending(source)
        if source.kind == "lhotse-supervisions":  # of its folder, the one part
            path = path.parent.absolute()
            path = path.with_name(f"{path.name}.{source.split}") if source.split else path
        path = path.absolute() if path.name in ("", "..") else path
        beside = path.with_name(f"{path.name.removesuffix(ending)}.clean{ending}")
    if out is None:
        return beside
    inside = several or (not _is_folder(source) and out.is_dir())
    return out / beside.name if inside else out


def _is_folder(source: Source) -> bool:
    """Whether a source is written as a folder."""
    if source.kind == "huggingface":
        return not (isinstance(source.path, Path) and source.path.is_file())
    return source.kind in ("kaldi", "lhotse-supervisions")


def _ending(source: Source) -> str:
    """What the name of the file must end in; nothing for folders."""
    if _is_folder(source) or isinstance(source.path, str):
        return ""
    return "".join(source.path.suffixes[-2 if source.path.suffix.lower() == ".gz" else -1 :])


def _check_targets(sources: Sequence[Source], targets: Sequence[Path]) -> None:
    inputs = {Path(source.path).resolve() for source in sources}
    inputs |= {Path(s.path).parent.resolve() for s in sources if s.kind == "lhotse-supervisions"}
    if len({str(source.path) for source in sources}) < len(sources):
        raise UserError("a manifest is named twice; name each once")
    if len({target.resolve() for target in targets}) < len(targets):
        raise UserError(f"{targets[0]}: two manifests would be written to it; rename one of them")
    for source, target in zip(sources, targets, strict=True):
        if target.resolve() in inputs:
            raise UserError(f"{target}: is what is cleaned; let --out name another place")
        if not target.parent.is_dir():
            raise UserError(f"{target.parent}: no such folder; make it, or leave out --out")
        if not target.name.lower().endswith(_ending(source).lower()):
            raise UserError(f"{target}: {source.path} is written as {_ending(source)} only")
        if not _is_folder(source):
            continue
        # A folder is replaced as a whole, so it has to be one that was written here.
        if target.exists() and not (target.is_dir() and ledger_of(target).is_file()):
            raise UserError(f"{target}: is there and was not written by asr clean; remove it")


def _check_paths(source: Source, target: Path, kept: Sequence[Utterance]) -> None:
    """Hold a dataset against its new place; it is not read back, which would copy its audio."""
    if source.kind != "huggingface":
        return
    base = target if _is_folder(source) else target.parent
    for u in kept:
        if not _holds(source, u.origin) or not isinstance(u.audio, Path):
            continue
        if (base / u.audio_name).absolute() != u.audio.absolute():
            raise _misplaced(target)


def _misplaced(target: Path) -> UserError:
    return UserError(
        f"{target}: its rows would not find their audio from there, because paths are relative to "
        "the manifest; leave out --out, or name a file beside the manifest"
    )


def _stage(
    sources: Sequence[Source], places: Sequence[Path], change: Change, split: str | None
) -> None:
    """Write every manifest to a place beside its target."""
    for source, place in zip(sources, places, strict=True):
        if source.kind == "huggingface":
            if not place.exists():  # ids are always written into it
                huggingface.write(source.path, split, place, change)
            continue
        path = source.path
        assert isinstance(path, Path)
        if source.kind == "delimited":
            place.write_bytes(table(path, change))
        elif source.kind == "kaldi":
            place.mkdir(exist_ok=True)
            kaldi.write(path, source.base, place, change)
        elif source.kind == "lhotse-supervisions":
            place.mkdir(exist_ok=True)
            lhotse_supervisions.write(path, source.base, place, change)
        else:
            store(place, json_lines(path, change))


def _read_back(source: Source, target: Path, place: Path) -> Source:
    """A source as it is at its new place."""
    assert isinstance(source.path, Path) or source.kind == "huggingface"
    path = place / Path(source.path).name if source.kind == "lhotse-supervisions" else place
    own = isinstance(source.path, Path) and source.base == source.path.parent
    base = target.parent if own and not _is_folder(source) else source.base
    return replace(source, path=path, base=base, others=())


def _unlike(
    sources: Sequence[Source],
    targets: Sequence[Path],
    back: Sequence[Source],
    kept: Sequence[Utterance],
    audio_root: Path | None,
    split: str | None,
) -> set[str]:
    """Ids of the rows that are read under other ids from where they were written.

    Raises:
        UserError: something else about them is other.
    """
    readable = [
        (source, new)
        for source, new in zip(sources, back, strict=True)
        if source.kind != "huggingface"
    ]
    expected = [u for source, _ in readable for u in kept if _holds(source, u.origin)]
    if not expected:
        return set()
    names = [str(new.path) for _, new in readable]
    read = read_sources([new for _, new in readable], names, audio_root=audio_root, split=split)
    pairs = list(zip(expected, read.utterances, strict=False))
    same = len(expected) == len(read.utterances) and not read.skipped
    if not same or any(_content(one) != _content(other) for one, other in pairs):
        raise _misplaced(targets[0])
    return {one.id for one, other in pairs if one.id != other.id}


def _content(u: Utterance) -> tuple[object, ...]:
    audio = u.audio.absolute() if isinstance(u.audio, Path) else None
    return audio, u.text, u.offset, u.duration, u.lang, u.domain, u.speaker, u.split


def _rows(corpus: Corpus) -> list[Utterance | SkippedRow]:
    return [*corpus.utterances, *corpus.skipped]


def _holds(source: Source, origin: str) -> bool:
    return origin.startswith(f"{source.path}{'/' if source.kind == 'kaldi' else ':'}")


def _settle(
    source: Source,
    manifest: str,
    place: Path,
    target: Path,
    corpus: Corpus,
    dropped: Mapping[str, Mapping[str, Any]],
) -> Written:
    """Move one manifest to where it belongs, and write its ledger beside it."""
    rows = [row for row in _rows(corpus) if _holds(source, row.origin)]
    gone = [row for row in rows if row.id in dropped]
    lines = [{"id": row.id, "origin": row.origin, **dropped[row.id]} for row in gone]
    ledger = ledger_of(target)
    write_atomically(ledger, b"".join(json_bytes(line) + b"\n" for line in lines))
    if place.is_dir():
        _remove(target)
    else:
        with place.open("rb") as stream:
            os.fsync(stream.fileno())
    place.replace(target)
    return Written(manifest, target, ledger, len(rows) - len(gone), len(gone))


def _remove(place: Path) -> None:
    if place.is_dir():
        shutil.rmtree(place)
    else:
        place.unlink(missing_ok=True)
