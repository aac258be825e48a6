"""What earlier commands computed: kept by content, bounded, and never another's."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from asr_gate.corpus import cache as cache_module
from asr_gate.corpus.cache import VARIABLE, Cache, open_cache
from asr_gate.corpus.errors import UserError


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "c.sqlite3"


def test_what_is_kept_comes_back(file: Path) -> None:
    cache = Cache(file, 10**9)
    cache.keep("one", b"1")
    cache.keep("two", b"2")
    for _ in ("in memory", "on disk"):
        assert cache.find("one") == b"1"
        assert cache.find("two") == b"2"
        assert cache.find("three") is None
        cache.close()
        assert cache.trouble is None
        cache = Cache(file, 10**9)


@pytest.mark.parametrize(
    "change",
    [
        "update entries set content = x'00'",
        "update entries set content = substr(content, 1, length(content) - 1)",
        "update entries set content = 'text'",
        "update entries set key = case key when 'one' then 'two' else 'one' end",
    ],
)
def test_an_altered_entry_counts_as_not_there(change: str, file: Path) -> None:
    cache = Cache(file, 10**9)
    cache.keep("one", b"content")
    cache.close()
    with sqlite3.connect(file) as database:
        database.execute(change)
    database.close()
    cache = Cache(file, 10**9)
    assert cache.find("one") is None
    assert cache.find("two") is None


@pytest.mark.parametrize("start", [0, 5000])
def test_a_damaged_file_is_begun_anew(start: int, file: Path) -> None:
    """Damage in its head is seen at once, other damage when that part is read."""
    whole = Cache(file, 10**9)
    whole.keep("one", b"1" * 100_000)
    whole.close()
    with file.open("r+b") as stream:
        stream.seek(start)
        stream.write(b"no database" * 10_000)
    damaged = Cache(file, 10**9)
    assert damaged.find("one") is None
    damaged.close()
    cache = Cache(file, 10**9)
    cache.keep("one", b"2")
    cache.close()
    assert Cache(file, 10**9).find("one") == b"2"


def test_where_the_disk_is_full_nothing_more_is_kept(file: Path) -> None:
    cache = Cache(file, 10**9)
    assert cache._database is not None
    cache._database.execute("pragma max_page_count = 10")
    cache.keep("one", b"1" * 10**6)
    cache.close()
    assert cache.trouble == "database or disk is full"
    assert cache.find("one") is None
    assert Cache(file, 10**9).find("one") is None


def test_two_at_once_share_it(file: Path) -> None:
    one, other = Cache(file, 10**9), Cache(file, 10**9)
    one.keep("a", b"1")
    other.keep("a", b"1")
    other.keep("b", b"2")
    one.close()
    assert other.find("a") == b"1"
    other.close()
    assert one.trouble is other.trouble is None
    assert Cache(file, 10**9).find("b") == b"2"


def test_what_was_not_used_for_longest_goes_first(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter(range(1, 100))
    monkeypatch.setattr(cache_module.time, "time", lambda: next(clock))
    for number in range(10):
        cache = Cache(file, 20_000)
        cache.keep(f"{number} a", b"a" * 1000)
        cache.keep(f"{number} b", b"b" * 1000)
        cache.keep(f"{number} large", b"c" * 5000)
        assert number == 0 or cache.find("0 a") is not None
        cache.close()
    last = Cache(file, 20_000)
    assert last.find("0 a") is not None, "it was used each time"
    assert last.find("0 b") is None
    assert last.find("9 a") is not None
    last.close()
    with sqlite3.connect(file) as database:
        assert database.execute("select sum(size) from entries").fetchone()[0] <= 20_000
    database.close()


@pytest.mark.parametrize("asked", ["much", "-1", "nan", "1e9", ""])
def test_a_limit_is_a_number_of_gigabytes(
    asked: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv(VARIABLE, asked)
    if asked:
        with pytest.raises(UserError, match=VARIABLE):
            open_cache()
    else:
        found = open_cache()
        assert found is not None, "empty: as if it were not set"
        found.close()
