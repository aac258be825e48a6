"""Hugging Face datasets: a folder, a saved dataset, parquet with embedded audio, a hub id.

No dataset script ever runs: the `datasets` library has no support for remote code, and none for
pickled data.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from asr_gate.corpus.errors import UserError
from asr_gate.corpus.readers.row import (
    AUDIO_COLUMNS,
    LANG_COLUMNS,
    SPEAKER_COLUMNS,
    TEXT_COLUMNS,
    Row,
)

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


def rows(source: Path | str, split: str | None) -> Iterator[Row]:
    """Rows of all splits of a Hugging Face dataset; no audio is read.

    Args:
        source: a folder that `save_to_disk` wrote, an audio folder or a folder of parquet files,
            one parquet file, or `hf:OWNER/NAME` for the hub.
        split: the split that is wanted; needed where there is more than one.

    Raises:
        UserError: no such dataset, no audio or text column, or a split that has to be named.
    """
    import datasets

    loaded = load(source)
    if not isinstance(loaded, datasets.DatasetDict):
        if split is not None and "split" not in loaded.column_names:
            raise UserError(f"{source}: a single dataset without splits; leave out --split")
        yield from _rows(str(source), loaded, {})
        return
    names = list(loaded)
    (only, *more) = names
    if not more and "split" in loaded[only].column_names:
        yield from _rows(str(source), loaded[only], {})
        return
    if split is None and more:
        raise UserError(f"{source}: has the splits {', '.join(names)}; choose with --split")
    chosen = split or only
    if chosen not in names:
        raise UserError(f"{source}: no split '{chosen}'; it has {', '.join(names)}")
    # One file of parquet is called "train" by the library, whatever is in it.
    nameless = isinstance(source, Path) and source.is_file() and split is None
    yield from _rows(str(source), loaded[chosen], {} if nameless else {"split": chosen})
    for name in names:
        columns = set(loaded[name].column_names)
        if name != chosen and columns & {*AUDIO_COLUMNS} and columns & {*TEXT_COLUMNS}:
            yield from _rows(f"{source}/{name}", loaded[name], {"split": name})


def _rows(source: str, dataset: Any, labels: dict[str, str]) -> Iterator[Row]:
    """Rows of one dataset, each with the labels that all of them share."""
    import datasets
    import pyarrow as pa
    import pyarrow.compute

    names = dataset.column_names
    audio = next((c for c in AUDIO_COLUMNS if c in names), None)
    if audio is None:
        raise UserError(f"{source}: no audio column; known names: {', '.join(AUDIO_COLUMNS)}")
    if not any(column in names for column in TEXT_COLUMNS):
        raise UserError(f"{source}: no text column; known names: {', '.join(TEXT_COLUMNS)}")
    # Undecoded: our own reader decodes, so that all formats share one way.
    if isinstance(dataset.features[audio], datasets.Audio):
        dataset = dataset.cast_column(audio, datasets.Audio(decode=False))
    sounds = dataset.select_columns([audio])
    kept = [column for column in names if column in READ]
    index = 0
    for batch in dataset.select_columns([*kept, audio]).with_format("arrow").iter(1000):
        column = batch.column(audio)
        paths: list[Any] = [None] * len(column)
        embedded = [False] * len(column)
        if pa.types.is_struct(column.type):
            parts = {column.type.field(n).name for n in range(column.type.num_fields)}
            if "path" in parts:
                paths = pa.compute.struct_field(column, "path").to_pylist()
            if "bytes" in parts:
                # Whether there are bytes is known without reading them.
                stored = pa.compute.struct_field(column, "bytes")
                embedded = pa.compute.is_valid(stored).to_pylist()
        elif pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type):
            embedded = pa.compute.is_valid(column).to_pylist()
        elif pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
            paths = column.to_pylist()
        else:
            raise UserError(f"{source}: the column '{audio}' holds {column.type}, no audio")
        for fields, path, inside in zip(
            batch.select(kept).to_pylist(), paths, embedded, strict=True
        ):
            index += 1
            origin = f"{source}:{index}"
            sound = DatasetAudio(sounds, audio, index - 1) if inside else path
            if not sound:
                yield Row(origin, fault="no audio: neither bytes nor a path")
            else:
                yield Row(origin, {**fields, **labels, "audio": sound, "audio_name": path})


def load(source: Path | str) -> Any:
    """The dataset or the dictionary of datasets that a source names, as the library has it.

    Raises:
        UserError: no such dataset.
    """
    import datasets
    import datasets.exceptions

    datasets.disable_progress_bars()
    # What fails after its retries is told once, below.
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)
    if source == "hf:":
        raise UserError("hf: names no dataset; name one as hf:OWNER/NAME")
    try:
        if isinstance(source, str):
            return datasets.load_dataset(source.removeprefix("hf:"))
        if source.is_file():
            return datasets.load_dataset("parquet", data_files=str(source))
        if (source / "state.json").exists() or (source / "dataset_dict.json").exists():
            return datasets.load_from_disk(str(source))
        return datasets.load_dataset(str(source))
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
        raise UserError(f"{source}: not a dataset that can be read ({reason})") from error
