"""Manifests in: a reader turns one kind of source into rows, `read_corpus` rows into a corpus.

A new format is one file with a `rows` function, one line in `READERS`, and one in `locate`.
"""

from __future__ import annotations

import math
import os.path
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from asr_gate.corpus.errors import UserError
from asr_gate.corpus.readers import (
    delimited,
    huggingface,
    kaldi,
    lhotse_cuts,
    lhotse_supervisions,
    qwen3_asr,
)
from asr_gate.corpus.readers.row import (
    AUDIO_COLUMNS,
    LANG_COLUMNS,
    SPEAKER_COLUMNS,
    TEXT_COLUMNS,
    Row,
    json_object,
    lines,
)
from asr_gate.corpus.utterance import (
    DEFAULT_DOMAIN,
    AudioBytes,
    Corpus,
    Seconds,
    SkippedRow,
    Utterance,
)

READERS: dict[str, Callable[[Path], Iterator[Row]]] = {
    "jsonl": qwen3_asr.rows,
    "delimited": delimited.rows,
    "kaldi": kaldi.rows,
    "lhotse-cuts": lhotse_cuts.rows,
    "lhotse-supervisions": lhotse_supervisions.rows,
}
"""By the kind of the source; `huggingface` has splits of its own and reads them in `_rows_of`."""

COMMON_VOICE = ("train", "dev", "test", "validated", "invalidated", "other")
"""The TSVs of a Common Voice release that list clips with sentences."""

LONGEST_RECORDING: Seconds = 1e7
"""No recording is longer than months."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where the rows of one manifest are."""

    kind: str
    """A key of `READERS`, or `huggingface`."""
    path: Path | str
    """The file or folder that is read; a string for the hub."""
    base: Path
    """Where relative audio paths start."""
    split: str | None = None
    """The split of all its rows, where its name says so."""
    others: tuple[Source, ...] = ()
    """Sources of the manifest's other splits, where one was chosen."""


def read_corpus(
    manifests: Sequence[str | Path], *, audio_root: Path | None = None, split: str | None = None
) -> Corpus:
    """Read every manifest into one corpus; no audio is opened.

    Relative audio paths are relative to the manifest. Audio must lie in the manifest's own folder
    or, where every row names its audio by an absolute path, in the folder that they share;
    `audio_root` allows one folder more. Rows that leave these are skipped, with the reason.

    Where a split is chosen, rows of the manifests' other splits become `Corpus.others`, as far as
    they are well-formed.

    Raises:
        UserError: a manifest is missing, of an unknown kind, empty, or has malformed rows.
    """
    sources = [locate(manifest, split) for manifest in manifests]
    return read_sources(sources, list(map(str, manifests)), audio_root=audio_root, split=split)


def read_sources(
    sources: Sequence[Source],
    manifests: Sequence[str],
    *,
    audio_root: Path | None = None,
    split: str | None = None,
) -> Corpus:
    """Read sources that were located into one corpus; see `read_corpus`.

    Raises:
        UserError: likewise.
    """
    parsed: list[Utterance | SkippedRow] = []
    others: list[Utterance] = []
    faults: list[str] = []
    for source in sources:
        for row, found in parse(source, audio_root=audio_root, split=split, others=others):
            if isinstance(found, str):
                faults.append(f"{row.origin}: {found}")
            else:
                parsed.append(found)
    if faults:
        more = f" (and {len(faults) - 1} more such rows)" if len(faults) > 1 else ""
        raise UserError(f"{faults[0]}; mend or remove the row{more}")
    taken = {row.id for row in parsed}
    unique = _with_unique_ids(parsed, taken)
    utterances = [row for row in unique if isinstance(row, Utterance)]
    skipped = [row for row in unique if isinstance(row, SkippedRow)]
    if not unique:
        where = f" of split '{split}'" if split else ""
        raise UserError(f"{', '.join(manifests)}: no rows{where}; name a manifest with rows")
    taken |= {other.id for other in others}
    return Corpus(utterances, list(manifests), skipped, _with_unique_ids(others, taken, unique))


def parse(
    source: Source,
    *,
    audio_root: Path | None,
    split: str | None,
    others: list[Utterance] | None = None,
) -> list[tuple[Row, Utterance | SkippedRow | str]]:
    """Every row of the wanted split with what it is: an utterance, skipped, or malformed, and how.

    Utterances of the other splits are added to `others`.

    Raises:
        UserError: the source cannot be read, or has no splits.
    """
    wanted: list[Row] = []
    unwanted: list[Row] = []
    for row in _rows_of(source, split):
        (wanted if _in_split(row, source.split, split) else unwanted).append(row)
    if others is not None:
        groups = [(source, unwanted)]
        groups += [(other, list(_rows_of(other, None))) for other in source.others]
        for other, rows in groups:
            found = _parsed(rows, other, audio_root)
            others += [one for _, one in found if isinstance(one, Utterance)]
    return _parsed(wanted, source, audio_root)


def _rows_of(source: Source, split: str | None) -> Iterator[Row]:
    if source.kind == "huggingface":
        return huggingface.rows(source.path, split)
    assert isinstance(source.path, Path)
    return READERS[source.kind](source.path)


def _in_split(row: Row, named: str | None, split: str | None) -> bool:
    """Whether a row is of the wanted split: by its source's name, or else by its column."""
    if split is None or (row.fault and named is None):
        return True
    if named is None and "split" not in row.fields:
        if row.skip:
            return True
        raise UserError(f"{row.origin}: the manifest has no column 'split'; leave out --split")
    return (named or str(row.fields["split"])) == split


def locate(manifest: str | Path, split: str | None) -> Source:
    """What kind of source a manifest is, and where its rows are.

    Raises:
        UserError: it is missing or of an unknown kind, or its split has to be named.
    """
    if not _is_unicode(str(manifest)):
        raise UserError(f"{str(manifest)!r}: the name is not valid Unicode; rename the manifest")
    name = str(manifest)
    if name.startswith("hf:"):
        return Source("huggingface", name, Path.cwd())
    path = Path(manifest)
    if path.is_dir():
        return _folder(path, split)
    if not os.path.isfile(path):  # noqa: PTH113  (never raises)
        raise UserError(f"{path}: no such manifest; check the path")
    return _file(path)


def _file(path: Path) -> Source:
    suffixes = [suffix.lower() for suffix in path.suffixes]
    ending = "".join(suffixes[-2:] if suffixes[-1:] == [".gz"] else suffixes[-1:])
    if ending in (".csv", ".tsv"):
        stem = path.name.split(".")[0]
        known = (path.parent / delimited.CLIPS).is_dir() and stem in COMMON_VOICE
        return Source("delimited", path, path.parent, split=stem if known else None)
    if ending in (".jsonl", ".json", ".jsonl.gz", ".json.gz"):
        return _json_lines(path)
    if ending == ".parquet":
        return Source("huggingface", path, path.parent)
    raise UserError(
        f"{path}: unknown kind of manifest; known: .jsonl, .json, .jsonl.gz, .csv, .tsv, .parquet, "
        "a Kaldi, Lhotse, Common Voice or Hugging Face dataset folder, hf:OWNER/NAME"
    )


def _json_lines(path: Path) -> Source:
    """NeMo's and Qwen3-ASR's rows, or Lhotse's cuts; the first row that is one decides."""
    for _, line in lines(path):
        first = json_object(line)
        if isinstance(first, str):
            continue
        if lhotse_cuts.is_cut(first):
            return Source("lhotse-cuts", path, lhotse_cuts.base(path))
        if "recording_id" in first:
            raise UserError(
                f"{path}: Lhotse supervisions without their recordings; name the folder of both"
            )
        break
    return Source("jsonl", path, path.parent)


def _folder(path: Path, split: str | None) -> Source:
    splits = _splits(path)
    if not splits:
        if (path / "wav.scp").is_file():
            return Source("kaldi", path, kaldi.base(path))
        metadata = [m for m in ("metadata.jsonl", "metadata.csv") if (path / m).is_file()]
        if metadata:  # an audio folder is a manifest beside its audio
            return _file(path / metadata[0])
        return Source("huggingface", path, path)
    if split is None and len(splits) > 1:
        raise UserError(f"{path}: has the splits {', '.join(splits)}; choose with --split")
    chosen = split or next(iter(splits))
    if len(splits) == 1 and not any(source.split for source in splits.values()):
        chosen = next(iter(splits))  # a column may still say more
    if chosen not in splits:
        raise UserError(f"{path}: no split '{chosen}'; it has {', '.join(splits)}")
    others = [
        other
        for name, other in splits.items()
        # The clips of Common Voice's train, dev and test are all in `validated` again.
        if split is not None and name != chosen and "validated" not in (name, chosen)
    ]
    return replace(splits[chosen], others=tuple(others))


def _splits(path: Path) -> dict[str, Source]:
    """The splits that the names of a folder's files and folders say, with their sources."""
    if (path / delimited.CLIPS).is_dir():
        tables = [path / f"{name}.tsv" for name in COMMON_VOICE]
        return {table.stem: _file(table) for table in tables if table.is_file()}
    if parts := lhotse_supervisions.parts(path):
        recordings = {name: lhotse_supervisions.recordings_beside(parts[name]) for name in parts}
        return {
            name: Source(
                "lhotse-supervisions",
                parts[name],
                lhotse_cuts.base(recordings[name]) if recordings[name].is_file() else path,
                split=None if name == lhotse_supervisions.WHOLE else name,
            )
            for name in parts
        }
    if any((path / name).is_file() for name in ("metadata.jsonl", "metadata.csv")):
        return {}
    metadata = [*path.glob("*/metadata.jsonl"), *path.glob("*/metadata.csv")]
    folders = sorted({file.parent for file in metadata})
    return {one.name: replace(_folder(one, None), split=one.name) for one in folders}


def _parsed(
    rows: Sequence[Row], source: Source, audio_root: Path | None
) -> list[tuple[Row, Utterance | SkippedRow | str]]:
    roots = [_root(rows, source.base)]
    if audio_root is not None:
        roots.append(audio_root.resolve())
    places = _Places(roots)
    return [(row, row.fault or _parse(row, source, places)) for row in rows]


def _root(rows: Sequence[Row], base: Path) -> Path:
    """The folder that the audio of some rows must lie in."""
    try:
        return (_shared_folder(rows) or base).resolve()
    except (OSError, ValueError, RuntimeError):  # no folder can be called so
        return base.resolve()


def _shared_folder(rows: Sequence[Row]) -> Path | None:
    """The folder that all audio lies in where every path is absolute; None where one is not.

    Where they share nothing but the root of the disk they share nothing.
    """
    folders = set()
    for row in rows:
        if row.fault or row.skip:
            continue
        name = next((row.fields[c] for c in AUDIO_COLUMNS if row.fields.get(c)), None)
        if not isinstance(name, str) or not os.path.isabs(name):  # noqa: PTH117
            return None
        folders.add(os.path.normpath(os.path.dirname(name)))  # noqa: PTH120
    shared = Path(os.path.commonpath(folders)) if folders else Path()
    return shared if len(shared.parts) > 1 else None


class _Places:
    """The folders that audio may lie in."""

    def __init__(self, roots: Sequence[Path]) -> None:
        self._roots = [str(root) for root in roots]
        self._folders: dict[str, str] = {}

    def holds(self, audio: Path) -> bool:
        """Whether a file, or what it links to, lies in one of them.

        Raises:
            OSError, ValueError, RuntimeError: no file can be called so.
        """
        # Resolving whole paths row by row is most of what reading a corpus would take.
        folder = str(audio.parent)
        if folder not in self._folders:
            self._folders[folder] = str(audio.parent.resolve())
        place = os.path.join(self._folders[folder], audio.name)  # noqa: PTH118
        if audio.name in ("", "..") or os.path.islink(place):  # noqa: PTH114
            place = str(audio.resolve())
        elif "\0" in place:
            raise ValueError("embedded null byte")
        return any(_inside(place, root) for root in self._roots)

    def inside(self, name: str) -> str:
        """An absolute name without the folder that allows it; any other as it is."""
        if os.path.isabs(name):  # noqa: PTH117
            path = str(Path(name))
            for root in self._roots:
                if _inside(path, root):
                    return path[len(root) :].lstrip("/") or "."
        return name


def _inside(place: str, root: str) -> bool:
    return place == root or place.startswith(root if root.endswith("/") else root + "/")


def _parse(row: Row, source: Source, places: _Places) -> Utterance | SkippedRow | str:
    """The utterance of a row, the row as skipped, or what is malformed about it."""
    fields = row.fields
    audio_column = _filled(fields, AUDIO_COLUMNS)
    lang_column = _filled(fields, LANG_COLUMNS)
    speaker_column = _filled(fields, SPEAKER_COLUMNS)
    text_column = next((c for c in TEXT_COLUMNS if c in fields), None)
    labels = ("id", lang_column, "domain", speaker_column, "split")
    for column in labels:
        value = fields.get(column)
        if isinstance(value, (list, dict, bool)):
            return f"{column} is {type(value).__name__}, not a string"
    for column in (*labels, audio_column, text_column or TEXT_COLUMNS[0]):
        value = fields.get(column)
        if isinstance(value, str) and not _is_unicode(value):
            return f"{column} is not valid Unicode"
    given = _label(fields.get("id"))
    if row.skip:
        return SkippedRow(given or Path(row.origin).name, row.origin, row.skip)
    if not fields.get(audio_column):
        return f"no audio_filepath{_columns(fields)}"
    if text_column is None:
        return f"no text{_columns(fields)}"
    text = fields[text_column]
    if text is not None and not isinstance(text, str):
        return f"text is {type(text).__name__}, not a string"
    offset, duration = _seconds(fields.get("offset")), _seconds(fields.get("duration"))
    if isinstance(offset, str):
        return f"offset {offset}"
    if isinstance(duration, str) or duration == 0:
        return f"duration {duration or 'is 0'}"
    audio: Path | AudioBytes
    if isinstance(fields[audio_column], str):
        name = fields[audio_column]
        audio = source.base / name
    elif hasattr(fields[audio_column], "read"):
        audio = fields[audio_column]
        name = str(fields.get("audio_name") or Path(row.origin).name)
    else:
        return f"{audio_column} is {type(fields[audio_column]).__name__}, not a path"
    if given is None:  # its audio's place in the corpus, and where in it
        given = f"{places.inside(name)}@{offset:g}" if offset else places.inside(name)
    if isinstance(audio, Path):
        try:
            allowed = places.holds(audio)
        except (OSError, ValueError, RuntimeError) as error:
            return f"audio path {name[:80]!r} cannot be a path ({error})"
        if not allowed:
            reason = f"audio path {name!r} leaves the corpus root; allow it with --audio-root"
            return SkippedRow(given, row.origin, reason)
    return Utterance(
        id=given,
        text=text or "",
        audio=audio,
        audio_name=name,
        origin=row.origin,
        offset=offset or 0.0,
        duration=duration,
        lang=_label(fields.get(lang_column)),
        domain=_label(fields.get("domain")) or DEFAULT_DOMAIN,
        speaker=_label(fields.get(speaker_column)),
        split=source.split or _label(fields.get("split")),
    )


def _filled(fields: Mapping[str, Any], columns: Sequence[str]) -> str:
    """The first of some columns that says something, or else the first."""
    for column in columns:
        if fields.get(column):
            return column
    return columns[0]


def _columns(fields: Mapping[str, Any]) -> str:
    names = ", ".join(list(map(str, fields))[:8])
    return f"; the row has {names}" if names else ""


def _seconds(value: object) -> float | str | None:
    """Seconds of a field, None where it is absent, or what is wrong with it."""
    if value is None or value == "":
        return None
    if isinstance(value, (bool, list, dict)):
        return f"is {type(value).__name__}, not a number of seconds"
    try:
        seconds = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return f"{str(value)[:40]!r} is not a number of seconds"
    if not math.isfinite(seconds) or not 0 <= seconds < LONGEST_RECORDING:
        return f"{value!r} is not a length of time"
    return seconds


def _is_unicode(value: str) -> bool:
    """False for strings with half a surrogate pair, which JSON can spell and no file can hold."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _label(value: object) -> str | None:
    return None if value in (None, "") else str(value)


_Named = TypeVar("_Named", Utterance, Utterance | SkippedRow)


def _with_unique_ids(
    rows: Sequence[_Named], taken: set[str], before: Sequence[Utterance | SkippedRow] = ()
) -> list[_Named]:
    """The rows, those whose id was there before with `#2`, `#3`, … behind it.

    Args:
        rows: in their order.
        taken: all ids that rows have; those that are made are added.
        before: rows that come before these.
    """
    seen = {row.id for row in before}
    unique = []
    for row in rows:
        if row.id in seen:
            number = 2
            while (name := f"{row.id}#{number}") in taken:
                number += 1
            taken.add(name)
            row = replace(row, id=name)
        seen.add(row.id)
        unique.append(row)
    return unique
