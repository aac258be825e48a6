"""Hugging Face datasets: a folder, a saved dataset, parquet with embedded audio, a hub id.

No dataset script ever runs: the `datasets` library has no support for remote code.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from corpus.errors import UserError
from corpus.readers import AUDIO_COLUMNS, Row


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
    """Rows of a Hugging Face dataset.

    Args:
        source: a folder that `save_to_disk` wrote, an audio folder or a folder of parquet files,
            one parquet file, or `hf:OWNER/NAME` for the hub.
        split: which split; needed where there is more than one.

    Raises:
        UserError: no such dataset, no audio column, or a split that has to be named.
    """
    dataset = _load(source, split)
    audio = next((c for c in AUDIO_COLUMNS if c in dataset.column_names), None)
    if audio is None:
        raise UserError(f"{source}: no audio column; known names: {', '.join(AUDIO_COLUMNS)}")
    others = dataset.remove_columns([audio])
    # One column, undecoded: our own reader decodes, so that all formats share one way.
    sounds = dataset.select_columns([audio])
    for index, fields in enumerate(others):
        origin = f"{source}:{index + 1}"
        value = sounds[index][audio]
        if isinstance(value, dict):
            name = value.get("path") or None
            if value.get("bytes") is not None:
                sound: Any = DatasetAudio(sounds, audio, index)
            elif name:
                sound = name
            else:
                yield Row(origin, {}, "no audio: neither bytes nor a path")
                continue
            yield Row(origin, {**fields, "audio": sound, "audio_name": name})
        elif isinstance(value, bytes):
            yield Row(origin, {**fields, "audio": DatasetAudio(sounds, audio, index)})
        else:
            yield Row(origin, {**fields, "audio": value})


def _load(source: Path | str, split: str | None) -> Any:
    import datasets
    import datasets.exceptions

    datasets.disable_progress_bars()
    # What fails after its retries is told once, below.
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)
    if source == "hf:":
        raise UserError("hf: names no dataset; name one as hf:OWNER/NAME")
    try:
        if isinstance(source, str):
            loaded = datasets.load_dataset(source.removeprefix("hf:"))
        elif source.is_file():
            loaded = datasets.load_dataset("parquet", data_files=str(source))
        elif (source / "state.json").exists() or (source / "dataset_dict.json").exists():
            loaded = datasets.load_from_disk(str(source))
        else:
            loaded = datasets.load_dataset(str(source))
    # There is no base class for what can be wrong with a dataset: the library's own errors beside
    # those of arrow and of the hub client.
    except (
        datasets.exceptions.DatasetsError,
        OSError,
        ValueError,
        RuntimeError,
        KeyError,
    ) as error:
        told = error.__cause__ or error
        reason = (str(told).splitlines() or [type(told).__name__])[0]
        raise UserError(f"{source}: not a dataset that can be read ({reason})") from error
    if isinstance(loaded, datasets.DatasetDict):
        names = list(loaded)
        if split is None and len(names) > 1:
            raise UserError(f"{source}: has the splits {', '.join(names)}; choose with --split")
        chosen = split or names[0]
        if chosen not in names:
            raise UserError(f"{source}: no split '{chosen}'; it has {', '.join(names)}")
        loaded = loaded[chosen]
    elif split is not None:
        raise UserError(f"{source}: a single dataset without splits; leave out --split")
    for column, feature in loaded.features.items():
        if isinstance(feature, datasets.Audio):
            loaded = loaded.cast_column(column, datasets.Audio(decode=False))
    return loaded
