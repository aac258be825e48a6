"""Parts: what was measured comes back as it was, or not at all."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from asr_gate.audit.engine.parts import Parts, only_one
from asr_gate.audit.engine.shards import Share
from asr_gate.audit.records.measured import Fault
from asr_gate.corpus.errors import UserError
from tests.audit.controls.rows import normal_rows, row

KEY = {"seed": 1, "controls": 385}


def begun(folder: Path) -> Parts:
    parts = Parts(folder)
    assert parts.begin(KEY, resume=False) == 0
    return parts


def test_rows_come_back_as_they_were(tmp_path: Path) -> None:
    rows = [
        *normal_rows(3, 0),
        replace(row(8, mismatch=None), unaligned=((0.1, 0.2),), lags=(0.5, 1.0)),
        replace(row(9), words=(), gaps=(), fault=Fault("S001", "missing")),
    ]
    parts = begun(tmp_path)
    parts.write(rows[:2])
    parts.write(rows[2:])
    again = Parts(tmp_path)
    assert again.begin(KEY, resume=True) == 2
    assert again.read({r.id for r in rows}) == {r.id: r for r in rows}
    assert again.read({rows[3].id}) == {rows[3].id: rows[3]}
    assert again.read({"other"}) == {}


def test_half_a_part_counts_as_not_there_and_is_not_written_over(tmp_path: Path) -> None:
    rows = normal_rows(3, 0)
    parts = begun(tmp_path)
    parts.write(rows)
    (file,) = parts.folder.glob("part-*.json")
    whole = file.read_text()
    for broken in (whole[: len(whole) // 2], "[]", "{}", "[1]", whole.replace('"deletion"', '"x"')):
        file.write_text(broken)
        assert parts.read({r.id for r in rows}) == {}
    file.write_text(whole)
    again = Parts(tmp_path)
    again.begin(KEY, resume=True)
    assert len(again.read({r.id for r in rows})) == 3
    again.write(normal_rows(1, 1))
    assert file.read_text() == whole
    assert len(list(parts.folder.glob("part-*.json"))) == 2


@pytest.mark.parametrize("name", KEY)
def test_parts_of_another_audit_are_never_mixed_in(name: str, tmp_path: Path) -> None:
    begun(tmp_path).write(normal_rows(1, 0))
    with pytest.raises(UserError, match=f"another {name}"):
        Parts(tmp_path).begin(KEY | {name: 0}, resume=True)
    with pytest.raises(UserError, match="--resume"):
        Parts(tmp_path).begin(KEY, resume=False)


def test_no_two_audits_write_into_one_folder(tmp_path: Path) -> None:
    held = only_one(tmp_path)
    with held, pytest.raises(UserError, match="another audit"), only_one(tmp_path):
        pytest.fail("both hold it")
    with only_one(tmp_path):
        assert tmp_path.is_dir()


def shared(folder: Path, key: dict[str, int]) -> Parts:
    parts = Parts(folder, shared=True)
    parts.begin(key, resume=True)
    return parts


def test_those_that_share_an_audit_never_write_over_each_other(tmp_path: Path) -> None:
    key = KEY | {"shares": 2}
    one, two = shared(tmp_path, key), shared(tmp_path, key)
    rows = normal_rows(4, 0)
    one.write(rows[:3])
    two.write(rows[2:])
    assert shared(tmp_path, key).read({r.id for r in rows}) == {r.id: r for r in rows}
    assert one.folder.is_relative_to(tmp_path)
    assert Parts(tmp_path, shared=True).shares() == 2
    refused = pytest.raises(UserError, match="another process")
    with one.claimed(Share(1, 2)), two.claimed(Share(2, 2)), refused, two.claimed(Share(1, 2)):
        pytest.fail("both hold it")


def test_a_part_that_was_copied_in_from_another_plan_counts_as_not_there(tmp_path: Path) -> None:
    rows = normal_rows(2, 0)
    mine = shared(tmp_path / "mine", KEY | {"shares": 2})
    theirs = shared(tmp_path / "theirs", KEY | {"seed": 2, "shares": 2})
    theirs.write(rows)
    (part,) = theirs.folder.glob("part-*.json")
    part.rename(mine.folder / part.name)
    assert mine.read({r.id for r in rows}) == {}
    with pytest.raises(UserError, match="another shares"):
        shared(tmp_path / "mine", KEY | {"shares": 3})


def test_without_a_plan_there_is_nothing_to_merge(tmp_path: Path) -> None:
    for content in (None, "{}", '{"shares": "2"}', '{"shares": 0}'):
        if content is not None:
            (tmp_path / "shards").mkdir(exist_ok=True)
            (tmp_path / "shards" / "plan.json").write_text(content)
        with pytest.raises(UserError, match="--shard"):
            Parts(tmp_path, shared=True).shares()
