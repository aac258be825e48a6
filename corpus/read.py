"""Manifests in: find the format, read its rows, check them, and put the corpus together."""

from __future__ import annotations

import os.path
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from asr_gate.corpus import storage
from asr_gate.corpus.audio_paths import allowed_folders
from asr_gate.corpus.errors import UserError
from asr_gate.corpus.formats import FORMATS
from asr_gate.corpus.formats.format import ALL, Row, Source
from asr_gate.corpus.labels import LabelRule, labelled, rules_for
from asr_gate.corpus.mirror import Mirror, mirrored
from asr_gate.corpus.parse import is_unicode, parse
from asr_gate.corpus.utterance import Corpus, SkippedRow, Utterance

UNSPLIT = {"validated", "invalidated", "other"}
"""Tables of Common Voice that are no splits: the first holds the clips of all splits again."""
MOST_MALFORMED = 10_000
"""Rows; of more nobody needs the number, and each takes memory."""


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
    parsed: list[Utterance | SkippedRow] = []
    others: list[Utterance] = []
    faults: list[str] = []
    for source in sources:
        for row, found in read_rows(source, audio_root=audio_root, split=split, others=others):
            if isinstance(found, str):
                faults.append(f"{row.origin}: {found}")
            else:
                parsed.append(found)
    if faults:
        more = f" (and {len(faults) - 1} more such rows)" if len(faults) > 1 else ""
        raise UserError(f"{faults[0]}; correct or remove the row{more}")
    taken = {row.id for row in parsed}
    unique = _with_unique_ids(parsed, taken)
    utterances = [row for row in unique if isinstance(row, Utterance)]
    skipped = [row for row in unique if isinstance(row, SkippedRow)]
    if not unique:
        where = f" of split '{split}'" if split else ""
        raise UserError(f"{', '.join(manifests)}: no rows{where}; name a manifest with rows")
    taken |= {other.id for other in others}
    rest = _with_unique_ids(others, taken, unique)
    return Corpus(utterances, list(manifests), skipped, rest, split)


def read_rows(
    source: Source,
    *,
    audio_root: Path | None,
    split: str | None,
    others: list[Utterance] | None = None,
) -> list[tuple[Row, Utterance | SkippedRow | str]]:
    """Every row of the wanted split, as an utterance, a skipped row, or what is malformed about it.

    Utterances of the other splits are appended to `others`.

    Raises:
        UserError: the source cannot be read, or has no splits.
    """
    with source.mirror.telling() if source.mirror else nullcontext():
        return _read_rows(source, audio_root, split, others)


def _read_rows(
    source: Source, audio_root: Path | None, split: str | None, others: list[Utterance] | None
) -> list[tuple[Row, Utterance | SkippedRow | str]]:
    wanted: list[Row] = []
    unwanted: list[Row] = []
    malformed = 0
    for found in source.format.rows(source, split):
        malformed += found.fault is not None
        if malformed > MOST_MALFORMED:
            raise UserError(
                f"{found.origin}: the {malformed}th malformed row ({found.fault}); name a manifest"
            )
        row = labelled(found, source)
        (wanted if _in_split(row, source, split) else unwanted).append(row)
    if others is not None:
        groups = [(source, unwanted)]
        groups += [
            (other, [labelled(row, other) for row in other.format.rows(other, None)])
            for other in source.others
        ]
        for other, rows in groups:
            parsed = _parsed(rows, other, audio_root)
            others += [one for _, one in parsed if isinstance(one, Utterance)]
    return _parsed(wanted, source, audio_root)


def with_ids_apart(corpus: Corpus, others: Sequence[Corpus]) -> Corpus:
    """A corpus none of whose ids stands in other corpora: such an id gets `#2`, `#3`, … behind it.

    Rows that only tell leaks (`Corpus.others`) keep theirs.
    """
    before: list[Utterance | SkippedRow] = []
    for other in others:
        before += [*other.utterances, *other.skipped]
    own: list[Utterance | SkippedRow] = [*corpus.utterances, *corpus.skipped]
    taken = {row.id for row in (*before, *own)}
    apart = _with_unique_ids(own, taken, before)
    return replace(
        corpus,
        utterances=[row for row in apart if isinstance(row, Utterance)],
        skipped=[row for row in apart if isinstance(row, SkippedRow)],
    )


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


def _parsed(
    rows: Sequence[Row], source: Source, audio_root: Path | None
) -> list[tuple[Row, Utterance | SkippedRow | str]]:
    allowed = allowed_folders(rows, source, audio_root)
    if source.mirror:
        rows = [replace(row, origin=source.mirror.named(row.origin)) for row in rows]
    return [(row, row.fault or parse(row, source, allowed)) for row in rows]


_Named = TypeVar("_Named", Utterance, Utterance | SkippedRow)


def _with_unique_ids(
    rows: Sequence[_Named], taken: set[str], before: Sequence[Utterance | SkippedRow] = ()
) -> list[_Named]:
    """The rows; an id that was there before gets `#2`, `#3`, … behind it.

    Args:
        rows: in their order.
        taken: all ids that rows have; new ones are added.
        before: rows that come before these.
    """
    seen = {row.id for row in before}
    numbers: dict[str, int] = {}
    unique = []
    for row in rows:
        if row.id in seen:
            # From where the last one stopped: a million equal ids would take for ever.
            number = numbers.get(row.id, 2)
            while (name := f"{row.id}#{number}") in taken:
                number += 1
            numbers[row.id] = number + 1
            taken.add(name)
            row = replace(row, id=name)
        seen.add(row.id)
        unique.append(row)
    return unique
