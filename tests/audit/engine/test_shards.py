"""Shards: what was measured comes back as it was, or not at all."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from asr_gate.audit.engine.shards import Shards, only_one
from asr_gate.audit.records.measured import Fault
from asr_gate.corpus.errors import UserError
from tests.audit.controls.rows import normal_rows, row

KEY = {"seed": 1, "controls": 385}


def begun(folder: Path) -> Shards:
    shards = Shards(folder)
    assert shards.begin(KEY, resume=False) == 0
    return shards


def test_rows_come_back_as_they_were(tmp_path: Path) -> None:
    rows = [
        *normal_rows(3, 0),
        replace(row(8, mismatch=None), unaligned=((0.1, 0.2),), lags=(0.5, 1.0)),
        replace(row(9), words=(), gaps=(), fault=Fault("S001", "missing")),
    ]
    shards = begun(tmp_path)
    shards.write(rows[:2])
    shards.write(rows[2:])
    again = Shards(tmp_path)
    assert again.begin(KEY, resume=True) == 2
    assert again.read({r.id for r in rows}) == {r.id: r for r in rows}
    assert again.read({rows[3].id}) == {rows[3].id: rows[3]}
    assert again.read({"other"}) == {}


def test_half_a_shard_counts_as_not_there_and_is_not_written_over(tmp_path: Path) -> None:
    rows = normal_rows(3, 0)
    shards = begun(tmp_path)
    shards.write(rows)
    (file,) = shards.folder.glob("shard-*.json")
    whole = file.read_text()
    for broken in (whole[: len(whole) // 2], "[]", "{}", "[1]", whole.replace('"deletion"', '"x"')):
        file.write_text(broken)
        assert shards.read({r.id for r in rows}) == {}
    file.write_text(whole)
    again = Shards(tmp_path)
    assert len(again.read({r.id for r in rows})) == 3
    again.write(normal_rows(1, 1))
    assert file.read_text() == whole
    assert len(list(shards.folder.glob("shard-*.json"))) == 2


@pytest.mark.parametrize("name", KEY)
def test_shards_of_another_audit_are_never_mixed_in(name: str, tmp_path: Path) -> None:
    begun(tmp_path).write(normal_rows(1, 0))
    with pytest.raises(UserError, match=f"another {name}"):
        Shards(tmp_path).begin(KEY | {name: 0}, resume=True)
    with pytest.raises(UserError, match="--resume"):
        Shards(tmp_path).begin(KEY, resume=False)


def test_no_two_audits_write_into_one_folder(tmp_path: Path) -> None:
    held = only_one(tmp_path)
    with held, pytest.raises(UserError, match="another audit"), only_one(tmp_path):
        pytest.fail("both hold it")
    with only_one(tmp_path):
        assert tmp_path.is_dir()
