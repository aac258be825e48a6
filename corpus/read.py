"""Manifests in: find the format, read its rows, check them, and put the corpus together."""

from __future__ import annotations

import os.path
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path

from asr_gate.corpus import inside, storage
from asr_gate.corpus.audio_paths import allowed_folders
from asr_gate.corpus.collected import Collected
from asr_gate.corpus.errors import UserError
from asr_gate.corpus.formats import FORMATS
from asr_gate.corpus.formats.format import ALL, Row, Source
from asr_gate.corpus.labels import LabelRule, labelled, rules_for
from asr_gate.corpus.mirror import Mirror, mirrored
from asr_gate.corpus.parse import is_unicode, parse
from asr_gate.corpus.rows import columns
from asr_gate.corpus.utterance import Corpus, SkippedRow, Utterance

UNSPLIT = {"validated", "invalidated", "other"}
"""Tables of Common Voice that are no splits: the first holds the clips of all splits again."""
MOST_MALFORMED = 10_000
"""Rows; of more nobody needs the number."""


def read_corpus(
    manifests: Sequence[str | Path],
    *,
    audio_root: Path | None = None,
    split: str | None = None,
    labels: Sequence[LabelRule] = (),
) -> Corpus:
    """Read every manifest into one corpus; no audio is opened.

    Relative audio paths start from the manifest's folder. Audio has to lie in that folder, in
    `audio_root`, or in a folder of the environment variable ASR_AUDIO_ROOT. Rows with audio
    elsewhere are skipped, with the reason.

    Without `split`, all splits are read. If one is chosen, the well-formed rows of the others
    become `Corpus.others`.

    Args:
        manifests: files, folders, `hf:OWNER/NAME`, or files and folders in stores: `s3://…`.
        audio_root: a further folder that audio may lie in, or a URL that it may lie below.
        split: the only split to read.
        labels: rules that give rows domains and splits.

    Raises:
        UserError: a manifest is missing, of an unknown kind, empty, has malformed rows, or all its
            audio lies elsewhere.
    """
    storage.forget()
    inside.forget()
    sources = [one for manifest in manifests for one in locate(manifest, split, labels)]
    paths = [_place(source) for source in sources]
    for path in paths:
        if paths.count(path) > 1:
            raise UserError(f"{path}: named twice; every row would count twice, so name it once")
    names = [storage.url_of(one) or str(one) for one in manifests]
    return read_sources(sources, names, audio_root=audio_root, split=split)


def read_sources(
    sources: Sequence[Source],
    manifests: Sequence[str],
    *,
    audio_root: Path | None = None,
    split: str | None = None,
) -> Corpus:
    """Read sources that were located into one corpus; see `read_corpus`.

    Raises:
        UserError: as `read_corpus` does.
    """
    found, others = Collected(), Collected()
    first, faults = "", 0
    for source in sources:
        for row, one in read_rows(source, audio_root=audio_root, split=split, others=others):
            if not isinstance(one, str):
                found.add(one)
                continue
            first = first or f"{row.origin}: {one}"
            faults += 1
    if faults:
        more = f" (and {faults - 1} more such rows)" if faults > 1 else ""
        raise UserError(f"{first}; correct or remove the row{more}")
    if not len(found):
        where = f" of split '{split}'" if split else ""
        raise UserError(f"{', '.join(manifests)}: no rows{where}; name a manifest with rows")
    found.make_unique()
    others.make_unique(found.ids)
    return Corpus(found.rows, list(manifests), found.skipped, others.rows, split)


def read_rows(
    source: Source,
    *,
    audio_root: Path | None,
    split: str | None,
    others: Collected | None = None,
) -> Iterator[tuple[Row, Utterance | SkippedRow | str]]:
    """Every row of the wanted split, as an utterance, a skipped row, or what is malformed about it.

    Utterances of the other splits are added to `others`.

    Raises:
        UserError: the source cannot be read, or has no splits.
    """
    with source.mirror.telling() if source.mirror else nullcontext():
        yield from _read_rows(source, audio_root, split, others)


def _read_rows(
    source: Source, audio_root: Path | None, split: str | None, others: Collected | None
) -> Iterator[tuple[Row, Utterance | SkippedRow | str]]:
    kept = others if split is not None else None
    if kept is not None:
        for other in source.others:
            every = partial(_of_split, other, None, None, wanted=True)
            allowed = allowed_folders(every(), other, audio_root)
            kept.add_utterances(row.fault or parse(row, other, allowed) for row in every())
    of = partial(_of_split, source, split, split)
    allowed = allowed_folders(of(wanted=True), source, audio_root)
    beside = None if kept is None else allowed_folders(of(wanted=False), source, audio_root)
    for row in _labelled_rows(source, split):
        if _in_split(row, source, split):
            yield row, row.fault or parse(row, source, allowed)
        elif kept is not None and beside is not None:
            kept.add_utterances([row.fault or parse(row, source, beside)])


def _labelled_rows(source: Source, split: str | None) -> Iterator[Row]:
    """The rows of a source, of all splits, with the labels of its rules; origins name the store."""
    malformed = 0
    for found in source.format.rows(source, split):
        malformed += found.fault is not None
        if malformed > MOST_MALFORMED:
            raise UserError(
                f"{found.origin}: the {malformed}th malformed row ({found.fault}); name a manifest"
            )
        row = labelled(found, source)
        yield replace(row, origin=source.mirror.named(row.origin)) if source.mirror else row


def _of_split(
    source: Source, read: str | None, split: str | None, *, wanted: bool
) -> Iterator[Row]:
    """The rows of a source that are of a split, or that are not."""
    rows = _labelled_rows(source, read)
    return (row for row in rows if _in_split(row, source, split) is wanted)


def with_ids_apart(corpus: Corpus, others: Sequence[Corpus]) -> Corpus:
    """A corpus none of whose ids stands in other corpora: such an id gets `#2`, `#3`, … behind it.

    Rows that only tell leaks (`Corpus.others`) keep theirs.
    """
    own = Collected()
    for row in corpus.utterances:
        own.add(row)
    for skipped in corpus.skipped:
        own.add(skipped)

    def before() -> Iterator[str]:
        for one in others:
            yield from (identity for (identity,) in columns(one.utterances, "id"))
            yield from (skipped.id for skipped in one.skipped)

    own.make_unique(before)
    return replace(corpus, utterances=own.rows, skipped=own.skipped)


def _place(source: Source) -> str:
    """Where a source lies."""
    return source.mirror.named(str(source.path)) if source.mirror else str(source.path)


def _in_split(row: Row, source: Source, split: str | None) -> bool:
    """Whether a row is of the wanted split."""
    if split is None:
        return True
    if "split" not in row.fields:
        if row.skip or row.fault:
            return True
        if any(rule.split for rule in source.labels):
            return False
        raise UserError(
            f"{row.origin}: the manifest has no column 'split', and no rule of asr.toml names the "
            "row's; leave out --split, or write such a rule"
        )
    return str(row.fields["split"]) == split


def locate(
    manifest: str | Path, split: str | None, labels: Sequence[LabelRule] = ()
) -> list[Source]:
    """The sources of a manifest's rows, in the first format that knows the path.

    Several: the names of files tell splits, and none was chosen.

    Raises:
        UserError: nothing is there, no format knows it, or it does not have the split.
    """
    if not is_unicode(str(manifest)):
        raise UserError(f"{str(manifest)!r}: the name is not valid Unicode; rename the manifest")
    if (url := storage.url_of(manifest)) is not None:
        path, mirror = mirrored(url)
        with mirror.telling():
            return _locate(path, split, rules_for(url, labels), mirror)
    path = Path(manifest)
    return _locate(path, split, rules_for(path, labels), None)


def _locate(
    path: Path, split: str | None, rules: tuple[LabelRule, ...], mirror: Mirror | None
) -> list[Source]:
    for form in FORMATS:
        if splits := form.find(path):
            found = {
                name: replace(source, labels=rules, mirror=mirror)
                for name, source in splits.items()
            }
            if mirror:  # a store has no current folder for paths to start from
                here = Path.cwd()
                found = {
                    name: replace(one, base=mirror.folder) if one.base == here else one
                    for name, one in found.items()
                }
            return _choose(path, found, split)
    if not os.path.isfile(path):  # noqa: PTH113  (never raises)
        raise UserError(f"{path}: no such manifest; check the path")
    known = ", ".join(form.manifests for form in FORMATS)
    raise UserError(f"{path}: unknown kind of manifest; known: {known}")


def _choose(path: Path, splits: Mapping[str, Source], split: str | None) -> list[Source]:
    """The wanted ones of the sources that a format found at a path, by their splits."""
    # Where no file name says a split, a column may.
    if split is None or list(splits) == [ALL]:
        return [source for name, source in splits.items() if name not in UNSPLIT] or [
            *splits.values()
        ]
    if split not in splits:
        raise UserError(f"{path}: no split '{split}'; it has {', '.join(splits)}")
    others = [
        other for name, other in splits.items() if name != split and not {name, split} & UNSPLIT
    ]
    return [replace(splits[split], others=tuple(others))]
