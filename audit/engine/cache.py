"""Measurements of earlier audits, kept by content, so that only what has changed is measured.

Two kinds of entries: an emission, under the digest of the audio and of all that computes it; and
what was measured of one transcript on it, under the digest of the text besides. `asr audit` gets
the same report with them and without.

Whoever can write them can write the verdict. So they lie in a private folder of the user, as
numbers and text alone, and are not used in CI, where others may have written them.
"""

from __future__ import annotations

import hashlib
import io
import json
import logging
import os
import platform
import re
import sqlite3
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np

from asr_gate.audit.acoustic.interface import Emission, ModelInfo
from asr_gate.audit.controls.measure import Known
from asr_gate.audit.engine.stored import from_json, to_json
from asr_gate.audit.records.measured import Measured
from asr_gate.corpus.environment import in_ci
from asr_gate.corpus.errors import UserError
from asr_gate.corpus.files import cache_home, make_private
from asr_gate.corpus.text.letters import Transcript
from asr_gate.corpus.utterance import Utterance

VARIABLE = "ASR_CACHE_GB"
DEFAULT_GB = 2.0
GIGABYTE = 10**9
BUFFER = 64 * 10**6
"""Bytes that wait for the disk at most,"""
KEEP_EVERY = 5.0
"""and seconds."""
ROOM = 0.9
"""Share of the limit that is left full when something has to go."""


@dataclass(frozen=True)
class Entry:
    """What is known of one transcript on one recording."""

    row: Measured
    """Without id, domain, language and text, cohort and controls, which are the audit's."""
    known: Known
    """What other texts showed on it."""


def open_cache() -> Cache | None:
    """The user's cache; None: in CI, with a limit of 0, or where there is no safe place for it.

    Raises:
        UserError: ASR_CACHE_GB is no number of gigabytes.
    """
    asked = os.environ.get(VARIABLE) or str(DEFAULT_GB)
    if not re.fullmatch(r"\d{1,6}(\.\d{1,6})?", asked):
        raise UserError(f"{VARIABLE}={asked}: give gigabytes, such as {DEFAULT_GB:g}; 0: no cache")
    limit = int(float(asked) * GIGABYTE)
    if in_ci() or not limit:
        return None
    try:
        folder = cache_home() / "measurements"
        make_private(folder)
        return Cache(folder / "measurements.sqlite3", limit)
    except (OSError, RuntimeError, sqlite3.Error) as error:
        logging.getLogger(__name__).info("no cache of measurements: %s", error)
        return None


class Cache:
    """A bounded cache on disk; what was not used for longest goes first.

    No error of it ends an audit: it then forgets, and keeps nothing more.
    """

    def __init__(self, path: Path, limit: int) -> None:
        """Open or make it.

        Raises:
            OSError, sqlite3.Error: it cannot be used.
        """
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

    def entry(self, key: str) -> Entry | None:
        """What was measured under a key."""
        content = self._find(key)
        try:
            found = json.loads(content) if content else None
            return Entry(from_json(found["row"]), found["known"]) if found else None
        except (ValueError, TypeError, KeyError, AttributeError):
            return None

    def emission(self, key: str, tokens: int) -> Emission | None:
        """The emission under a key, of a model of so many tokens."""
        content = self._find(key)
        try:
            found = np.load(io.BytesIO(content), allow_pickle=False) if content else None
        except (ValueError, EOFError, OSError):
            return None
        if found is None or found.dtype != np.float32 or found.shape[1:] != (tokens,):
            return None
        return np.asarray(found)

    def keep_entry(self, key: str, entry: Entry) -> None:
        """Keep what was measured."""
        row = replace(entry.row, id="", domain="", lang=None, text="", cohort_loss=None)
        value = {"row": replace(row, controls=()), "known": entry.known}
        self._keep(key, json.dumps(value, default=to_json).encode())

    def keep_emission(self, key: str, emission: Emission) -> None:
        """Keep an emission."""
        stream = io.BytesIO()
        np.save(stream, emission, allow_pickle=False)
        self._keep(key, stream.getvalue())

    def close(self) -> None:
        """Write what is not on disk; nothing is found or kept any more."""
        with self._lock:
            self._write()
            self._give_up()

    def _find(self, key: str) -> bytes | None:
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

    def _keep(self, key: str, content: bytes) -> None:
        with self._lock:
            if self._database is None:
                return
            self._new[key] = content
            self._size += len(content)
            if self._size > BUFFER or time.monotonic() - self._written > KEEP_EVERY:
                self._write()

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
            logging.getLogger(__name__).info("measurements are not kept: %s", error)
        database, self._database = self._database, None
        with suppress(sqlite3.Error):
            if database is not None:
                database.close()


def _open(path: Path) -> sqlite3.Connection:
    path.touch(mode=0o600)
    # One connection for all threads; the lock lets one at a time.
    database = sqlite3.connect(path, timeout=5, check_same_thread=False)
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


class Keys:
    """Under what to keep, for one model on this machine."""

    def __init__(self, model: ModelInfo, device: str, code: Mapping[str, str]) -> None:
        """Prepare.

        Args:
            model: what computes emissions.
            device: where.
            code: version of what measures, as of `code_version`.
        """
        self._model = _digest(
            [model.name, model.revision, model.weights_sha256, device, *processors(), dict(code)]
        )

    def audio(self, sound: str, utterance: Utterance, beside: str) -> str:
        """Of an emission.

        Args:
            sound: digest of every byte of the recording.
            utterance: the part of it.
            beside: what else decides its last digits, as of `group`.
        """
        return _digest([self._model, sound, utterance.offset, utterance.duration, beside])

    def row(self, audio: str, utterance: Utterance, transcript: Transcript) -> str:
        """Of what is measured of a transcript.

        Args:
            audio: key of the emission.
            utterance: with the text as it is written.
            transcript: the text as the model's letters.
        """
        words = [[word.text, word.letters] for word in transcript.words]
        spelled = [words, transcript.unknown, transcript.dropped]
        return _digest([audio, utterance.text, spelled])


def group(utterances: Sequence[Utterance], sounds: Mapping[str, str], seconds: float) -> str:
    """What decides the batches of a group: its audio, and how much of it a batch holds."""
    return _digest([seconds, [[sounds[u.id], u.offset, u.duration] for u in utterances]])


def processors() -> list[str]:
    """The kinds of processors here: another kind computes other last digits."""
    found = [platform.machine()]
    places = [
        Path("/proc/cpuinfo"),
        *sorted(Path("/proc/driver/nvidia/gpus").glob("*/information")),
    ]
    for place in places:
        with suppress(OSError):
            text = place.read_text(encoding="utf-8", errors="replace")
            found += sorted(
                set(re.findall(r"^(?:model name|Model)\s*:\s*(.*)$", text, re.MULTILINE))
            )
    return found


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()
