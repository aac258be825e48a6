"""What earlier commands computed, kept by content in one bounded file of the user's cache.

Whoever can write it can write the verdict of an audit. So it lies in a private folder of the user,
and is not used in CI, where others may have written it.
"""

from __future__ import annotations

import hashlib
import os
import re
import sqlite3
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from threading import Lock

from asr_gate.corpus.environment import in_ci
from asr_gate.corpus.errors import UserError
from asr_gate.corpus.files import cache_home, make_private

VARIABLE = "ASR_CACHE_GB"
DEFAULT_GB = 2.0
GIGABYTE = 10**9
BUFFER = 64 * 10**6
"""Bytes that wait for the disk at most,"""
KEEP_EVERY = 5.0
"""and seconds."""
ROOM = 0.9
"""Share of the limit that is left full when something has to go."""


def open_cache(say: Callable[[str], None] = lambda line: None) -> Cache | None:
    """The user's cache; None: in CI, with a limit of 0, or where there is no safe place for it.

    Args:
        say: is told why there is no place for it.

    Raises:
        UserError: ASR_CACHE_GB is no number of gigabytes.
    """
    limit = cache_limit()
    if not limit:
        return None
    try:
        folder = cache_home() / "measurements"
        make_private(folder)
        return Cache(folder / "measurements.sqlite3", limit)
    except (OSError, RuntimeError, sqlite3.Error) as error:
        say(f"measurements of earlier audits are not used: {error}")
        return None


def cache_limit() -> int:
    """Bytes that a cache of this user may hold; 0: none is used, as in CI.

    Raises:
        UserError: ASR_CACHE_GB is no number of gigabytes.
    """
    asked = os.environ.get(VARIABLE) or str(DEFAULT_GB)
    if not re.fullmatch(r"\d{1,6}(\.\d{1,6})?", asked):
        raise UserError(f"{VARIABLE}={asked}: give gigabytes, such as {DEFAULT_GB:g}; 0: no cache")
    return 0 if in_ci() else int(float(asked) * GIGABYTE)


class Cache:
    """A bounded cache on disk; what was not used for longest goes first.

    No error of it ends an audit: it then forgets, and keeps nothing more.
    """

    def __init__(self, path: Path, limit: int) -> None:
        """Open or make it.

        Raises:
            OSError, sqlite3.Error: it cannot be used.
        """
        self.trouble: str | None = None
        """Why nothing is kept any more; None: no reason."""
        self._path = path
        self._limit = limit
        self._lock = Lock()
        self._new: dict[str, bytes] = {}
        """Not on disk yet."""
        self._used: set[str] = set()
        self._size = 0
        self._begun = int(time.time())
        self._written = time.monotonic()
        try:
            self._database: sqlite3.Connection | None = _open(path)
        except sqlite3.OperationalError:  # locked, no space
            raise
        except sqlite3.DatabaseError:  # damaged
            path.unlink()
            self._database = _open(path)

    def find(self, key: str) -> bytes | None:
        """What is kept under a key; None: nothing, or something that was altered."""
        with self._lock:
            if key in self._new:
                return self._new[key]
            if self._database is None:
                return None
            try:
                found = self._database.execute(
                    "select digest, content from entries where key = ?", (key,)
                ).fetchone()
            except sqlite3.Error as error:
                self._give_up(error)
                return None
            if found is None:
                return None
            digest, content = found
            if not isinstance(content, bytes) or digest != _digest_of_entry(key, content):
                return None
            self._used.add(key)
            return content

    def keep(self, key: str, content: bytes) -> None:
        """Keep something, in place of what is there."""
        with self._lock:
            if self._database is None:
                return
            self._new[key] = content
            self._size += len(content)
            if self._size > BUFFER or time.monotonic() - self._written > KEEP_EVERY:
                self._write()

    def close(self) -> None:
        """Write what is not on disk; nothing is found or kept any more."""
        with self._lock:
            self._write()
            self._give_up()

    def _write(self) -> None:
        if self._database is None:
            return
        rows = [(k, self._begun, len(c), _digest_of_entry(k, c), c) for k, c in self._new.items()]
        used = [(self._begun, key) for key in self._used]
        try:
            with self._database as database:
                database.executemany("update entries set used = ? where key = ?", used)
                database.executemany("insert or replace into entries values (?, ?, ?, ?, ?)", rows)
                self._make_room(database)
        except sqlite3.Error as error:
            self._give_up(error)
        self._new, self._used, self._size = {}, set(), 0
        self._written = time.monotonic()

    def _make_room(self, database: sqlite3.Connection) -> None:
        (total,) = database.execute("select coalesce(sum(size), 0) from entries").fetchone()
        if total <= self._limit:
            return
        # Of what was used at the same time, emissions go first: they are large, and most audits
        # need none of them.
        oldest = database.execute("select key, size from entries order by used, size desc")
        gone = []
        for key, size in oldest:
            gone.append((key,))
            total -= size
            if total <= ROOM * self._limit:
                break
        database.executemany("delete from entries where key = ?", gone)

    def _give_up(self, error: sqlite3.Error | None = None) -> None:
        if error is not None:
            self.trouble = str(error)
            if not isinstance(error, sqlite3.OperationalError):  # damaged: the next one begins anew
                with suppress(OSError):
                    self._path.unlink()
        database, self._database = self._database, None
        with suppress(sqlite3.Error):
            if database is not None:
                database.close()


def _open(path: Path) -> sqlite3.Connection:
    path.touch(mode=0o600)
    # One connection for all threads; the lock lets one at a time.
    database = sqlite3.connect(path, timeout=30, check_same_thread=False)
    try:
        database.execute("pragma auto_vacuum = full")  # what is deleted leaves the disk
        with database:
            database.execute(
                "create table if not exists entries"
                " (key text primary key, used integer, size integer, digest blob, content blob)"
            )
            database.execute("create index if not exists oldest on entries (used, size desc)")
    except BaseException:
        database.close()
        raise
    return database


def _digest_of_entry(key: str, content: bytes) -> bytes:
    """Shows that an entry is whole, and that it is the one of its key."""
    return hashlib.sha256(key.encode() + content).digest()
