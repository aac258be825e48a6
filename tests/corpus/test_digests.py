"""Digests are kept as long as a file does not change, and never longer."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from asr_gate.corpus import digests as room
from asr_gate.corpus.digests import digests


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    yield tmp_path / "cache" / "asr-gate" / "audio-digests.sqlite3"


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The files that were really read."""
    read: list[Path] = []
    really = room._hash

    def spy(path: Path, method: room.Method) -> str:
        read.append(path)
        return really(path, method)

    monkeypatch.setattr(room, "_hash", spy)
    return read


def old_file(path: Path, content: bytes, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that was left alone long enough."""
    path.write_bytes(content)
    monkeypatch.setattr(room, "MIN_AGE", -1.0)
    return path


def test_a_file_is_hashed_once(
    tmp_path: Path, hashed: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = old_file(tmp_path / "a.wav", b"abc", monkeypatch)
    expected = {path: hashlib.sha256(b"abc").hexdigest()}
    assert digests([path, path], "full") == expected
    assert digests([path], "full") == expected
    assert hashed == [path]
    digests([path], "sampled")
    assert hashed == [path, path], "the other method is another digest"


def test_a_change_of_the_same_size_with_its_time_set_back_is_seen(
    tmp_path: Path, hashed: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = old_file(tmp_path / "a.wav", b"abc", monkeypatch)
    first = digests([path], "full")
    before = path.stat()
    time.sleep(0.02)  # more than the grain of the clock that dates files
    path.write_bytes(b"abd")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_mtime_ns == before.st_mtime_ns
    assert digests([path], "full") != first
    assert len(hashed) == 2


def test_a_file_that_has_just_changed_is_not_kept(tmp_path: Path, hashed: list[Path]) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(b"abc")
    digests([path], "full")
    digests([path], "full")
    assert len(hashed) == 2


def test_no_cache_is_no_fault(
    tmp_path: Path, cache: Path, hashed: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = old_file(tmp_path / "a.wav", b"abc", monkeypatch)
    cache.parent.mkdir(parents=True)
    cache.write_bytes(b"this is no database, and long enough to be looked at as one" * 100)
    assert digests([path], "full") == {path: hashlib.sha256(b"abc").hexdigest()}
    monkeypatch.setenv("XDG_CACHE_HOME", str(path))
    assert digests([path], "full") == {path: hashlib.sha256(b"abc").hexdigest()}
    assert len(hashed) == 2


def test_what_is_not_there_has_no_digest(tmp_path: Path) -> None:
    assert digests([tmp_path / "a.wav", tmp_path], "full") == {
        tmp_path / "a.wav": "missing",
        tmp_path: "missing",
    }


@pytest.mark.parametrize("size", [0, 1, 4096, 5000, 100_000, 1_000_000])
def test_a_sampled_digest_sees_size_head_and_tail(size: int, tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    content = bytearray(os.urandom(size))
    path.write_bytes(content)
    first = digests([path], "sampled")[path]
    for place in {0, size // 2 if size <= 20 * 4096 else size - 1, size - 1} if size else ():
        changed = bytearray(content)
        changed[place] ^= 1
        path.write_bytes(changed)
        assert digests([path], "sampled")[path] != first
    path.write_bytes(content + b"x")
    assert digests([path], "sampled")[path] != first
