"""Digests of values, and of audio files: those are kept in a cache until the file changes."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import sqlite3
import stat
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO, Literal

from asr_gate.corpus.environment import in_ci
from asr_gate.corpus.files import cache_home, open_regular

Method = Literal["full", "sampled"]

BLOCK = 4096
BLOCKS = 20
"""Blocks of a file that a sampled digest reads: evenly spaced, with the first and the last."""

MIN_AGE = 2.0
"""Seconds since a file's last change before its digest is kept. A younger file could change
again within the grain of the file system's clock, without a new time."""

Stamp = tuple[int, int, int, int]
"""Size, inode, and the times of the last change to content and to the file, in nanoseconds."""


def digest_of(value: Any) -> str:
    """SHA-256 in hexadecimal of anything that JSON can hold; the order of keys does not matter."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def digests(paths: Iterable[Path], method: Method, *, cached: bool = True) -> dict[Path, str]:
    """SHA-256 of files; those that have not changed come from a cache.

    Unchanged means the same size, inode and both times of change, of which users cannot set the
    second back. The cache is `asr-gate/audio-digests.sqlite3` under XDG_CACHE_HOME (`~/.cache`). It
    is not used in CI, where others can write it, nor if it is not this user's alone.

    Args:
        paths: the files; each is hashed once.
        method: "full": every byte; "sampled": the size and 20 blocks of 4 KiB.
        cached: whether the cache may be used.

    Returns:
        Digests by path; `missing` or `unreadable` for files that cannot be hashed.
    """
    stamps = {path: _stamp(path) for path in dict.fromkeys(paths)}
    cached = cached and not in_ci()
    known = _recall({p: s for p, s in stamps.items() if s is not None}, method) if cached else {}
    wanted = [path for path, stamp in stamps.items() if stamp is not None and path not in known]
    with ThreadPoolExecutor() as pool:  # hashing releases the interpreter lock
        fresh = dict(zip(wanted, pool.map(lambda path: _hash(path, method), wanted), strict=True))
    if cached:
        _remember({p: d for p, d in fresh.items() if d != "unreadable"}, stamps, method)
    return {path: known.get(path) or fresh.get(path, "missing") for path in stamps}


def _stamp(path: Path) -> Stamp | None:
    if not os.path.isfile(path):  # noqa: PTH113  (Path.is_file raises on impossible names)
        return None
    try:
        return stamp_of(path.stat())
    except OSError:
        return None


def stamp_of(found: os.stat_result) -> Stamp:
    """What shows that a file has not changed."""
    return found.st_size, found.st_ino, found.st_mtime_ns, found.st_ctime_ns


BELIEVED = frozenset(["ext2", "ext3", "ext4", "xfs", "btrfs", "zfs", "f2fs", "bcachefs", "overlay"])
"""File systems on which no write leaves the times as they were. On tmpfs a write through a memory
map does; on network file systems the times are another machine's."""


def trusts_times(device: int) -> bool:
    """Whether the times of a device's files can be believed; `device` is `st_dev`."""
    return _kinds().get(device, "") in BELIEVED


@cache
def _kinds() -> dict[int, str]:
    """Kinds of the mounted file systems by device, as Linux lists them."""
    kinds: dict[int, str] = {}
    try:
        lines = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return {}
    for line in lines.splitlines():
        head, _, tail = line.partition(" - ")
        major, minor = head.split()[2].split(":")
        kinds[os.makedev(int(major), int(minor))] = tail.split()[0]
    return kinds


def _hash(path: Path, method: Method) -> str:
    try:
        with open_regular(path) as stream:
            return hash_stream(stream, method)
    except OSError:
        return "unreadable"


def hash_stream(stream: BinaryIO, method: Method) -> str:
    """SHA-256 of an open file from its start, or of its sampled blocks."""
    if method == "full":
        stream.seek(0)
        return hashlib.file_digest(stream, "sha256").hexdigest()  # type: ignore[arg-type]
    return _sampled(stream)


def _sampled(stream: BinaryIO) -> str:
    size = stream.seek(0, os.SEEK_END)
    sha = hashlib.sha256(f"{size} bytes:".encode())
    last = max(0, size - BLOCK)
    for start in sorted({last * number // (BLOCKS - 1) for number in range(BLOCKS)}):
        stream.seek(start)
        sha.update(stream.read(BLOCK))
    return sha.hexdigest()


def _open() -> sqlite3.Connection:
    path = cache_home() / "audio-digests.sqlite3"
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    for found in (path.parent.lstat(), *([path.lstat()] if os.path.lexists(path) else [])):
        if found.st_uid != os.geteuid() or found.st_mode & 0o022 or stat.S_ISLNK(found.st_mode):
            raise PermissionError(f"{path} can be written by others")
    connection = sqlite3.connect(path, timeout=5)
    connection.execute(
        "create table if not exists digests (path text, method text, size integer, inode integer,"
        " modified integer, changed integer, digest text, primary key (path, method))"
    )
    return connection


def _recall(stamps: Mapping[Path, Stamp], method: Method) -> dict[Path, str]:
    query = (
        "select digest from digests where path = ? and method = ? and size = ? and inode = ?"
        " and modified = ? and changed = ?"
    )
    known = {}
    try:
        with closing(_open()) as connection:
            for path, stamp in stamps.items():
                row = connection.execute(query, (str(path.absolute()), method, *stamp)).fetchone()
                if row is not None:
                    known[path] = str(row[0])
    except (sqlite3.Error, OSError, RuntimeError, UnicodeEncodeError) as error:
        logging.getLogger(__name__).info("no cache of digests: %s", error)
        return {}
    return known


def _remember(
    fresh: Mapping[Path, str], stamps: Mapping[Path, Stamp | None], method: Method
) -> None:
    rows = [
        (str(path.absolute()), method, *stamp, digest)
        for path, digest in fresh.items()
        if (stamp := stamps[path]) == _stamp(path)
        and stamp is not None
        and trusts_times(path.stat().st_dev)
        and time.time_ns() - max(stamp[2:]) > MIN_AGE * 1e9
    ]
    if not rows:
        return
    try:
        with closing(_open()) as connection, connection:
            connection.executemany(
                "insert or replace into digests values (?, ?, ?, ?, ?, ?, ?)", rows
            )
    except (sqlite3.Error, OSError, RuntimeError, UnicodeEncodeError) as error:
        logging.getLogger(__name__).info("digests are not kept: %s", error)
