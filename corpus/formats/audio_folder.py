"""Audio folders: `metadata.csv` or `metadata.jsonl` beside the audio, or one such folder a split.

The metadata is CSV or JSON lines. Format: https://huggingface.co/docs/datasets/audio_dataset
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from asr_gate.corpus.formats.delimited import Delimited
from asr_gate.corpus.formats.format import ALL, Change, Format, Row, Source, is_file, is_folder
from asr_gate.corpus.formats.qwen3_asr import Qwen3Asr


class AudioFolder(Format):
    """A folder whose manifest is its metadata."""

    manifests = "a folder with metadata.csv or metadata.jsonl"

    def find(self, manifest: Path) -> dict[str, Source]:
        """The metadata of a folder, or else of the folders in it, which are its splits."""
        if not is_folder(manifest):
            return {}
        if metadata := _metadata(manifest):
            return {ALL: Source(self, metadata, manifest)}
        splits = {folder: _metadata(folder) for folder in sorted(manifest.glob("*/"))}
        return {
            folder.name: Source(self, metadata, folder, split=folder.name)
            for folder, metadata in splits.items()
            if metadata
        }

    def rows(self, source: Source, split: str | None) -> Iterator[Row]:
        """One row a line of the metadata."""
        return _lines_of(source).rows(source, split)

    def write(self, source: Source, target: Path, change: Change, split: str | None) -> None:
        """The metadata less what is dropped; no audio is touched."""
        _lines_of(source).write(source, target, change, split)

    def untrimmable(self, source: Source) -> str:
        """Who loads such a folder hears every file whole."""
        return (
            "an audio folder has every file whole; cut the file, or list the rows as JSON lines "
            "with offset and duration"
        )


def _metadata(folder: Path) -> Path | None:
    files = [folder / name for name in ("metadata.jsonl", "metadata.csv")]
    return next((file for file in files if is_file(file, file.suffix)), None)


def _lines_of(source: Source) -> Format:
    return Delimited() if source.path.suffix == ".csv" else Qwen3Asr()
