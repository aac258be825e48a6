"""Damaged datasets: parquet, saved datasets, and the cards of folders."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import datasets
import pyarrow as pa
import pyarrow.parquet
import pytest

from asr_gate.corpus.read import read_corpus
from tests.fuzz.harness import Reader, fuzz

ROWS = pa.table(
    {
        "audio": [{"bytes": b"RIFF", "path": "a.wav"}, {"bytes": None, "path": "b.wav"}],
        "text": ["one", "\u05e9\u05dc\u05d5\u05dd"],
        "duration": [1.0, 2.5],
        "split": ["train", "train"],
    }
)
CARD = b"---\nconfigs:\n- config_name: default\n  data_files: data.parquet\n---\n# A dataset\n"


def read(name: str, folder: Path) -> None:
    corpus = read_corpus([folder / name])
    for row in corpus.utterances:
        if not isinstance(row.audio, Path):
            row.audio.read()


def parquet() -> bytes:
    sink = io.BytesIO()
    pyarrow.parquet.write_table(ROWS, sink, compression="none")
    return sink.getvalue()


def saved() -> dict[str, bytes]:
    with tempfile.TemporaryDirectory() as name:
        datasets.Dataset(ROWS).save_to_disk(name)
        return {file.name: file.read_bytes() for file in Path(name).iterdir()}


READERS = {
    "parquet": lambda: Reader(
        "parquet", {"data.parquet": parquet()}, partial(read, "data.parquet"), 50
    ),
    "saved": lambda: Reader("saved", saved(), partial(read, "."), 75),
    "card": lambda: Reader(
        "card", {"data.parquet": parquet(), "README.md": CARD}, partial(read, "."), 50
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", READERS)
def test_damaged_datasets_are_one_line(
    name: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    record_property: Callable[[str, object], None],
) -> None:
    cache = tmp_path / "cache"
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", cache)
    (tmp_path / "data").mkdir()
    ends = fuzz(READERS[name](), tmp_path / "data")
    record_property(f"fuzzed dataset: {name}", dict(ends))
    assert ends.total() - ends["read"] > 10
