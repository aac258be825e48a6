"""Hugging Face datasets: a folder, a saved dataset, parquet with embedded audio, a hub id.

No dataset script ever runs: the `datasets` library has no support for remote code, and none for
pickled data.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Any

from asr_gate.corpus.errors import UserError
from asr_gate.corpus.files import MEGABYTE, SETTINGS_LIMIT, open_regular, read_regular
from asr_gate.corpus.formats.format import (
    ALL,
    AUDIO_COLUMNS,
    CLEAN,
    LANG_COLUMNS,
    SPEAKER_COLUMNS,
    TEXT_COLUMNS,
    Change,
    Format,
    Row,
    Source,
    beside,
    is_file,
    is_folder,
)
from asr_gate.corpus.inside import ParquetAudio, open_parquet

HUB = "hf:"
PARQUET = ".parquet"
MANIFESTS = (".jsonl", ".json", ".csv", ".tsv", ".jsonl.gz")

AUDIO = (".flac", ".m4a", ".mp3", ".ogg", ".opus", ".wav")
MOST_LOOKED_AT = 10_000
"""Files of a folder in which texts are looked for."""

PACKAGED = "datasets.packaged_modules."
BUILDERS = ("arrow", "audiofolder", "cache", "csv", "json", "parquet")
"""Kinds of datasets that are read; `cache` is what was downloaded before."""

MOST_ROWS = 100_000_000
LARGEST_GROUP = 8000 * MEGABYTE
"""Bytes of one row group of a parquet file, not compressed: it is read as a whole."""

READ = {
    *TEXT_COLUMNS,
    *LANG_COLUMNS,
    *SPEAKER_COLUMNS,
    *("id", "offset", "duration", "domain", "split"),
}
"""Columns that rows are made of, beside the audio; features and the like are left where they
are."""


@dataclass(frozen=True, slots=True)
class DatasetAudio:
    """Audio embedded in a dataset; the bytes are read only when asked for."""

    dataset: Any
    column: str
    index: int

    def read(self) -> bytes:
        """The encoded audio of the row."""
        value = self.dataset[self.index][self.column]
        return bytes(value["bytes"] if isinstance(value, dict) else value)


class HuggingFace(Format):
    """A saved dataset, an audio folder, parquet files, or a dataset on the hub."""

    manifests = ".parquet, a Hugging Face dataset folder, hf:OWNER/NAME"
    every_id = True

    def find(self, manifest: Path) -> dict[str, Source]:
        """A parquet file, a name on the hub, or any folder; the library says what it can read."""
        if str(manifest).startswith(HUB):
            return {ALL: Source(self, manifest, Path.cwd(), folder=True)}
        if is_file(manifest, PARQUET):
            return {ALL: Source(self, manifest, manifest.parent)}
        if is_folder(manifest):
            return {ALL: Source(self, manifest, manifest, folder=True)}
        return {}

    def rows(self, source: Source, split: str | None) -> Iterator[Row]:
        """The rows of the wanted split and, if one was chosen, of the others.

        Raises:
            UserError: no such dataset, no audio or text column, or a split has to be named.
        """
        path = source.path
        if is_file(path, PARQUET):
            yield from _of_parquet(source, split)
            return
        loaded = _load(path)
        import datasets

        if not isinstance(loaded, datasets.DatasetDict):
            if split is not None and "split" not in loaded.column_names:
                raise UserError(f"{path}: a single dataset without splits; leave out --split")
            yield from _rows(str(path), loaded, {})
            return
        names = list(loaded)
        (only, *more) = names
        if not more and "split" in loaded[only].column_names:
            yield from _rows(str(path), loaded[only], {})
            return
        if split is not None and split not in names:
            raise UserError(f"{path}: no split '{split}'; it has {', '.join(names)}")
        # The library calls a single parquet file "train", whatever is in it.
        nameless = not source.folder and split is None
        chosen = [name for name in names if split in (None, name)]
        for name in chosen:
            origin = _origin(path, name, chosen)
            yield from _rows(origin, loaded[name], {} if nameless else {"split": name})
        for name in names:
            columns = set(loaded[name].column_names)
            if name not in chosen and columns & {*AUDIO_COLUMNS} and columns & {*TEXT_COLUMNS}:
                yield from _rows(_origin(path, name, chosen), loaded[name], {"split": name})

    def write(self, source: Source, target: Path, change: Change, split: str | None) -> None:
        """The dataset saved again, or parquet if it came as one; its other splits stay.

        Rows without an id get one in the column `id`: the names made for them would change with
        the folder or with the number of rows.

        Raises:
            UserError: the dataset names audio by paths, which the library would look up anew; or
                texts were to be corrected.
        """
        import datasets

        if change.texts:
            raise UserError(
                f"{source.path}: --fix writes text files alone; leave it out, or save the dataset "
                "as JSON lines"
            )
        if target.exists():  # from an earlier try: every id is in it already
            return
        path = source.path
        loaded = _load(path)
        if isinstance(loaded, datasets.DatasetDict):
            chosen = [name for name in loaded if split in (None, name)] or [next(iter(loaded))]
            parts = {
                name: _without(_origin(path, name, chosen), part, change)
                if name in chosen
                else part
                for name, part in loaded.items()
            }
        else:
            parts = {ALL: _without(str(path), loaded, change)}
        if not source.folder:
            (cleaned,) = parts.values()
            cleaned.to_parquet(str(target))
            return
        for part in parts.values():
            _refuse_paths(str(path), part)
        cleaned = parts[ALL] if list(parts) == [ALL] else datasets.DatasetDict(parts)
        cleaned.save_to_disk(str(target))

    def holds(self, source: Source, origin: str) -> bool:
        """Whether an origin is that of a row of any split."""
        return origin.startswith((f"{source.path}:", f"{source.path}/"))

    def untextable(self, source: Source) -> str:
        """Datasets are written with rows left out alone."""
        return "a dataset is written with rows left out alone; save it as JSON lines first"

    def untrimmable(self, source: Source) -> str:
        """A dataset's audio stands in it whole."""
        return self.untextable(source)

    def target(self, source: Source, mark: str = CLEAN) -> Path:
        """`OWNER--NAME.clean` in the current folder for a dataset on the hub."""
        name = str(source.path)
        if not name.startswith(HUB):
            return super().target(source, mark)
        return beside(Path.cwd() / name.removeprefix(HUB).replace("/", "--"), mark)

    def written(self, source: Source, path: Path, target: Path) -> None:
        """Not to be read back: that would copy all its audio, and the library names its rows."""


def _origin(path: Path, split: str, chosen: Sequence[str]) -> str:
    """What the origins of a split's rows begin with; only the row where it alone was chosen."""
    return str(path) if [split] == [*chosen] else f"{path}/{split}"


def _audio_column(source: str, names: Sequence[str]) -> str:
    """The column with the audio.

    Raises:
        UserError: there is none, or none with texts.
    """
    audio = next((c for c in AUDIO_COLUMNS if c in names), None)
    if audio is None:
        raise UserError(f"{source}: no audio column; known names: {', '.join(AUDIO_COLUMNS)}")
    if not any(column in names for column in TEXT_COLUMNS):
        raise UserError(f"{source}: no text column; known names: {', '.join(TEXT_COLUMNS)}")
    return audio


def _of_parquet(source: Source, split: str | None) -> Iterator[Row]:
    """Rows of a parquet file, group after group; the audio in it is not read.

    Raises:
        UserError: it cannot be read, has no audio or text column, or not this split.
    """
    path = source.path
    remote = source.mirror.audio_at(path) if source.mirror else None
    place = remote.url if remote else str(path)
    parquet = open_parquet(place)
    _require_bounds(place, parquet.file.metadata)
    names = parquet.file.schema_arrow.names
    audio = _audio_column(str(path), names)
    labels: dict[str, str] = {}
    if split is not None and "split" not in names:
        if split != "train":  # as the library calls the rows of a single file
            raise UserError(f"{path}: no split '{split}'; it has train")
        labels = {"split": split}
    leaves = {
        parquet.file.metadata.schema.column(number).path
        for number in range(parquet.file.metadata.num_columns)
    }
    kept = [column for column in names if column in READ]
    for group, index in enumerate(parquet.starts[:-1]):
        # Where all audio is inside, its bytes need not be read to know that.
        inside = f"{audio}.bytes" in leaves and not parquet.missing(audio, group)
        named = [f"{audio}.path"] if f"{audio}.path" in leaves else []
        for batch in parquet.batches(group, [*kept, *(named if inside else [audio])]):
            sounds = (ParquetAudio(place, audio, n) for n in range(index, index + len(batch)))
            yield from _of_batch(str(path), batch, audio, sounds, index, labels, inside=inside)
            index += len(batch)


def _rows(source: str, dataset: Any, labels: dict[str, str]) -> Iterator[Row]:
    """Rows of one dataset, each with the labels that all of them share."""
    import datasets

    names = dataset.column_names
    audio = _audio_column(source, names)
    # Undecoded: our own reader decodes, so that all formats share one way.
    if isinstance(dataset.features[audio], datasets.Audio):
        dataset = dataset.cast_column(audio, datasets.Audio(decode=False))
    sounds = dataset.select_columns([audio])
    kept = [column for column in names if column in READ]
    index = 0
    for batch in dataset.select_columns([*kept, audio]).with_format("arrow").iter(1000):
        inside = (DatasetAudio(sounds, audio, n) for n in range(index, index + len(batch)))
        yield from _of_batch(source, batch, audio, inside, index, labels)
        index += len(batch)


def _of_batch(
    source: str,
    batch: Any,
    audio: str,
    sounds: Iterable[DatasetAudio | ParquetAudio],
    index: int,
    labels: dict[str, str],
    *,
    inside: bool = False,
) -> Iterator[Row]:
    """Rows of an arrow table.

    Args:
        source: what origins begin with.
        batch: with the columns that rows are made of.
        audio: the column with the audio.
        sounds: the audio of each row, if it is inside.
        index: of the first row.
        labels: that all rows share.
        inside: whether all audio is inside, and its bytes no part of the table.
    """
    import pyarrow as pa
    import pyarrow.compute

    paths: list[Any] = [None] * len(batch)
    embedded = [inside] * len(batch)
    column = batch.column(audio) if audio in batch.schema.names else None
    if column is not None and pa.types.is_struct(column.type):
        parts = {column.type.field(n).name for n in range(column.type.num_fields)}
        if "path" in parts:
            paths = pa.compute.struct_field(column, "path").to_pylist()
        if "bytes" in parts:
            # Whether there are bytes is known without reading them.
            stored = pa.compute.struct_field(column, "bytes")
            embedded = pa.compute.is_valid(stored).to_pylist()
    elif column is not None:
        if pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type):
            embedded = pa.compute.is_valid(column).to_pylist()
        elif pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
            paths = column.to_pylist()
        else:
            raise UserError(f"{source}: the column '{audio}' holds {column.type}, no audio")
    kept = [name for name in batch.schema.names if name != audio]
    rows = zip(batch.select(kept).to_pylist(), paths, embedded, sounds, strict=True)
    for number, (fields, path, within, sound) in enumerate(rows, start=index + 1):
        origin = f"{source}:{number}"
        if within or path:
            given = {"audio": sound if within else path, "audio_name": path}
            yield Row(origin, {**fields, **labels, **given})
        else:
            yield Row(origin, fault="no audio: neither bytes nor a path")


def _load(source: Path) -> Any:
    """The dataset or dictionary of datasets at a path, as the library has it.

    Raises:
        UserError: no such dataset.
    """
    try:
        import datasets
        import datasets.exceptions
    except ModuleNotFoundError as error:
        # A folder may as well be one that holds a manifest.
        there = sorted(one.name for one in source.glob("*.*") if is_file(one, *MANIFESTS))
        if not there:
            raise
        raise UserError(
            f"{source}: is a folder; name a manifest in it ({', '.join(there[:3])}), or install "
            "asr-gate[datasets] if it is a Hugging Face dataset"
        ) from error

    datasets.disable_progress_bars()
    # What fails after its retries is told once, below.
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)
    name = str(source)
    if name == HUB:
        raise UserError("hf: names no dataset; name one as hf:OWNER/NAME")
    try:
        if name.startswith(HUB):
            return _build(source, datasets.load_dataset_builder(name.removeprefix(HUB)))
        for file in [source] if source.is_file() else source.rglob("*.parquet"):
            _require_bounds(str(file), _metadata(file))
        if source.is_file():
            return datasets.load_dataset("parquet", data_files=str(source))
        if (source / "state.json").exists() or (source / "dataset_dict.json").exists():
            return datasets.load_from_disk(str(source))
        _refuse_card(source)
        _require_tables(source)
        return _build(source, datasets.load_dataset_builder(str(source)))
    # There is no base class for what can be wrong with a dataset: the library's own errors beside
    # those of arrow and of the hub client.
    except (
        datasets.exceptions.DatasetsError,
        OSError,
        ValueError,
        RuntimeError,
        LookupError,
        TypeError,
        AttributeError,
    ) as error:
        told = error.__cause__ or error
        reason = (str(told).splitlines() or [type(told).__name__])[0]
        hint = "; if it holds a manifest, name that file" if source.is_dir() else ""
        raise UserError(f"{source}: not a dataset that can be read ({reason}){hint}") from error


def _require_tables(folder: Path) -> None:
    """Refuse a folder whose texts can be nowhere, before the library looks into every recording.

    Raises:
        UserError: it has recordings alone.
    """
    files = [one for one in islice(folder.rglob("*"), MOST_LOOKED_AT) if not is_folder(one)]
    if files and all(is_file(one, *AUDIO) for one in files):
        raise UserError(
            f"{folder}: has recordings ({min(files).name}) and no texts; name the manifest that "
            "has their transcripts"
        )


def _build(source: Path, builder: Any) -> Any:
    """The dataset of a builder that only reads tables and audio.

    The library has many others, which run SQL, unpickle, or unpack archives, and the files of a
    dataset choose.

    Raises:
        UserError: it is another one.
    """
    kinds = [
        part.__module__.removeprefix(PACKAGED).partition(".")[0]
        for part in type(builder).__mro__
        if part.__module__.startswith(PACKAGED)
    ]
    if not kinds or kinds[0] not in BUILDERS:
        kind = kinds[0] if kinds else type(builder).__name__
        raise UserError(
            f"{source}: a dataset of the kind '{kind}', which is not read; known: "
            f"{', '.join(BUILDERS)}; convert it, or name a manifest"
        )
    builder.download_and_prepare()
    return builder.as_dataset()


def _metadata(file: Path) -> Any:
    """What a parquet file says of itself; raises OSError or ValueError where it is none."""
    import pyarrow.parquet

    with open_regular(file) as stream:
        return pyarrow.parquet.read_metadata(stream)


def _require_bounds(file: str, about: Any) -> None:
    """Check what a parquet file says of its size, before all of it is unpacked.

    Raises:
        UserError: more rows than a corpus has, or a group of rows that no memory holds.
    """
    groups = (about.row_group(number) for number in range(about.num_row_groups))
    largest = max((group.total_byte_size for group in groups), default=0)
    if about.num_rows > MOST_ROWS or largest > LARGEST_GROUP:
        raise UserError(
            f"{file}: {about.num_rows} rows, in groups of up to {largest // MEGABYTE} MB: more "
            f"than {MOST_ROWS} rows, or {LARGEST_GROUP // MEGABYTE} MB in a group, are not "
            "read; write it in smaller parts"
        )


def _refuse_card(folder: Path) -> None:
    """Refuse a folder whose card names data elsewhere: on the net, or on this disk.

    Raises:
        UserError: it does, or the card cannot be read.
    """
    import yaml
    from huggingface_hub.repocard import metadata_load

    card = folder / "README.md"
    try:
        read_regular(card, SETTINGS_LIMIT)
        content = metadata_load(card) or {}
    except FileNotFoundError:
        return
    except (OSError, ValueError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"{card}: the dataset's card cannot be read ({reason})") from error
    for config in content.get("configs") or []:
        for name in _texts(config):
            if "://" in name or PurePosixPath(name).is_absolute() or ".." in name.split("/"):
                raise UserError(
                    f"{card}: names {name!r}, which lies outside of the folder; copy the data into "
                    "it, and name that"
                )


def _texts(value: object) -> Iterator[str]:
    """All texts within lists and mappings."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for part in value.values():
            yield from _texts(part)
    elif isinstance(value, list):
        for part in value:
            yield from _texts(part)


def _without(source: str, dataset: Any, change: Change) -> Any:
    """The rows that stay."""
    origins = [f"{source}:{number + 1}" for number in range(len(dataset))]
    given = dataset["id"] if "id" in dataset.column_names else [None] * len(dataset)
    audited = [change.ids.get(o, [g])[0] for o, g in zip(origins, given, strict=True)]
    if [None if g is None else str(g) for g in given] != audited:
        if "id" in dataset.column_names:
            dataset = dataset.remove_columns("id")
        dataset = dataset.add_column("id", [None if a is None else str(a) for a in audited])
    return dataset.select([n for n, origin in enumerate(origins) if not change.drops(origin)])


def _refuse_paths(source: str, dataset: Any) -> None:
    """Saving embeds what audio and images name, wherever that is: on this disk, or on the net."""
    import pyarrow as pa
    import pyarrow.compute
    from datasets.features.features import require_storage_embed

    for column, feature in dataset.features.items():
        if not require_storage_embed(feature):
            continue
        for batch in dataset.select_columns([column]).with_format("arrow").iter(1000):
            storage = batch.column(column)
            inside = (
                pa.types.is_struct(storage.type)
                and not pa.compute.any(
                    pa.compute.and_(
                        pa.compute.is_null(pa.compute.struct_field(storage, "bytes")),
                        pa.compute.is_valid(pa.compute.struct_field(storage, "path")),
                    )
                ).as_py()
            )
            if not inside:
                raise UserError(
                    f"{source}: the column '{column}' names files that it does not hold; a dataset "
                    "is written only with all that it holds inside"
                )
