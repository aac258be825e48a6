"""Attacks by manifests, datasets and tables: what they hold, and how much of it."""

from __future__ import annotations

import gzip
import hashlib
import io
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet
import pytest

from asr_gate.audit.gate import NoVerdict, tables
from asr_gate.audit.report.schemas import UTTERANCES
from asr_gate.corpus.errors import UserError
from asr_gate.corpus.formats import huggingface
from asr_gate.corpus.read import read_corpus
from tests.audit.report.reports import report_of, write_report


@pytest.mark.parametrize("name", ["a.xml", "a.h5", "a.txt"])
def test_a_dataset_of_another_kind_is_not_built(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text("<a>x</a>")
    with pytest.raises(UserError, match=r"which is not read|not a dataset"):
        read_corpus([tmp_path])


def test_a_dataset_that_chooses_to_be_unpickled_is_not_built(tmp_path: Path) -> None:
    from datasets.packaged_modules.pandas.pandas import Pandas

    (tmp_path / "x.pkl").write_bytes(b"cos\nsystem\n(S'false'\ntR.")
    builder = Pandas(cache_dir=str(tmp_path), data_files={"train": [str(tmp_path / "x.pkl")]})
    with pytest.raises(UserError, match="kind 'pandas', which is not read"):
        huggingface._build(tmp_path, builder)


@pytest.mark.parametrize("bound", ["MOST_ROWS", "LARGEST_GROUP"])
def test_a_parquet_file_that_says_too_much_is_refused(
    bound: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = pa.table({"audio": ["a.wav", "b.wav"], "text": ["one", "two"]})
    pyarrow.parquet.write_table(rows, tmp_path / "m.parquet")
    assert len(read_corpus([tmp_path / "m.parquet"]).utterances) == 2
    monkeypatch.setattr(huggingface, bound, 1)
    with pytest.raises(UserError, match="write it in smaller parts"):
        read_corpus([tmp_path / "m.parquet"])


@pytest.mark.parametrize("name", ["m.csv", "m.tsv", "m.jsonl"])
def test_a_line_without_an_end_is_not_read_to_its_end(name: str, tmp_path: Path) -> None:
    with (tmp_path / name).open("wb") as file:
        file.truncate(20_000_000_000)  # sparse
    with pytest.raises(UserError, match="longer than"):
        read_corpus([tmp_path / name])


@pytest.mark.parametrize(
    ("line", "count", "says"),
    [
        (b"\n", 2_000_000, "blank lines"),
        (b'{"text": "%s"}\n' % (b"x" * 1000), 3000, "-fold"),
        (b"x\n", 30_000, "malformed"),
    ],
)
def test_a_small_compressed_manifest_does_not_grow_for_ever(
    line: bytes, count: int, says: str, tmp_path: Path
) -> None:
    manifest = tmp_path / "m.jsonl.gz"
    manifest.write_bytes(gzip.compress(line * count))
    assert manifest.stat().st_size < 10_000
    with pytest.raises(UserError, match=says):
        read_corpus([manifest])


def forged(table: pa.Table, folder: Path) -> Path:
    """A report that vouches for a table of utterances."""
    sink = io.BytesIO()
    pyarrow.parquet.write_table(table, sink)
    folder.mkdir()
    (folder / "utterances.parquet").write_bytes(sink.getvalue())
    digest = f"sha256:{hashlib.sha256(sink.getvalue()).hexdigest()}"
    return write_report(report_of(tables={"utterances.parquet": digest}), folder)


def test_a_forged_table_has_our_columns_or_none(tmp_path: Path) -> None:
    rows = pa.Table.from_pylist([{"id": "u", "text": "x" * 1000}] * 1000, UTTERANCES)
    assert len(tables.load(forged(rows, tmp_path / "ours")).utterances) == 1000
    for name, column in {
        "type": pa.table({"rules": [1, 2]}),
        "name": pa.table({"__class__": ["x"]}),
        "twice": pa.Table.from_arrays([pa.array(["x"])] * 2, names=["id", "id"]),
    }.items():
        with pytest.raises(NoVerdict, match="none of ours"):
            _ = tables.load(forged(column, tmp_path / name)).utterances


def test_a_small_table_does_not_grow_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "LARGEST", 1_000_000)
    rows = pa.Table.from_pylist([{"id": "u", "text": "x" * 1000}] * 5000, UTTERANCES)
    folder = forged(rows, tmp_path / "a")
    assert (folder / "utterances.parquet").stat().st_size < 20_000
    with pytest.raises(NoVerdict, match="MB of data"):
        _ = tables.load(folder).utterances
