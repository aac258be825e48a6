"""The cases of a project in one SQLite file.

Audio in or under the folder of the file is named from there, so that both can be moved together.

A write is one transaction and on disk before the call returns, so a process that is killed leaves
either all of a call's cases or none. Writers take turns; readers never wait for them (WAL).
"""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from asr_gate.corpus.corrections import Correction
from asr_gate.corpus.errors import UserError
from asr_gate.corpus.files import relative_to
from asr_gate.rounds.cases.case import KINDS, Case, Kind, Operation, Status

FILE = Path("cases.sqlite3")
PATIENCE = 30.0
"""Seconds for which a writer waits for another one."""

MIGRATIONS = (
    """
    create table cases (
        key text primary key,
        source text not null, row text not null, reference text, hypothesis text,
        model text not null, domain text not null, language text,
        audio text, offset real not null, duration real, start real, end real,
        origin text not null, codes text not null,
        status text not null check (status in ('open', 'corrected', 'confirmed', 'dropped')),
        correction text, who text not null, why text not null,
        added_at text not null default (strftime('%Y-%m-%dT%H:%M:%SZ', 'now')),
        changed_at text not null default (strftime('%Y-%m-%dT%H:%M:%SZ', 'now'))
    ) strict;
    create table operations (
        key text not null references cases (key) on delete cascade,
        number integer not null,
        kind text not null, position integer not null,
        reference text not null, hypothesis text not null,
        primary key (key, number)
    ) strict, without rowid;
    create index cases_by_row on cases (row);
    create index operations_by_kind on operations (kind);
    """,
)
"""From each version of the file to the next; `user_version` counts them. Only ever appended to."""

_COLUMNS = (
    "key", "source", "row", "reference", "hypothesis", "model", "domain", "language", "audio",
    "offset", "duration", "start", "end", "origin", "codes", "status", "correction", "who", "why",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Chosen:
    """Which cases are wanted; None: all."""

    status: Sequence[Status] = ()
    source: str | None = None
    model: str | None = None
    """The whole of it, or how it begins."""
    domain: str | None = None
    kind: Kind | None = None
    """Cases with an error of this kind."""

    def where(self) -> tuple[str, list[str]]:
        """The condition in SQL, and its values."""
        parts, values = ["true"], list[str]()
        if self.status:
            parts.append(f"status in ({', '.join('?' * len(self.status))})")
            values += self.status
        for column, value in (("source", self.source), ("domain", self.domain)):
            if value is not None:
                parts.append(f"{column} = ?")
                values.append(value)
        if self.model is not None:
            parts.append("substr(model, 1, length(?)) = ?")
            values += [self.model, self.model]
        if self.kind is not None:
            parts.append("key in (select key from operations where kind = ?)")
            values.append(self.kind)
        return " and ".join(parts), values


@dataclass(frozen=True, slots=True)
class Added:
    """What came of adding cases."""

    new: int
    known: int
    """Cases that were there already; they stay as they are."""


class CaseStore:
    """The cases of one file."""

    def __init__(self, path: Path) -> None:
        """Name the file; it is opened by each call."""
        self.path = path
        self._home = path.absolute().parent

    def add(self, cases: Sequence[Case]) -> Added:
        """Add cases, all of them or none; those that are there already stay as they are.

        Raises:
            UserError: the file is damaged, of a later version, or cannot be written.
        """
        names, marks = ", ".join(_COLUMNS), ", ".join("?" * len(_COLUMNS))
        new = 0
        with self._writing() as db:
            for case in cases:
                done = db.execute(
                    f"insert into cases ({names}) values ({marks}) on conflict do nothing",
                    _to_row(case, self._home),
                )
                if not done.rowcount:
                    continue
                new += 1
                db.executemany(
                    "insert into operations values (?, ?, ?, ?, ?, ?)",
                    [
                        (case.key, number, one.kind, one.position, one.reference, one.hypothesis)
                        for number, one in enumerate(case.operations)
                    ],
                )
        return Added(new, len(cases) - new)

    def find(self, chosen: Chosen = Chosen(), limit: int = -1) -> list[Case]:
        """Cases in the order in which they were added.

        Raises:
            UserError: there is no such file, it is damaged, or of a later version.
        """
        where, values = chosen.where()
        with self._reading() as db:
            rows = db.execute(
                f"select * from cases where {where} order by rowid limit ?", [*values, limit]
            ).fetchall()
            query = (
                "select kind, position, reference, hypothesis from operations where key = ?"
                " order by number"
            )
            return [
                _to_case(
                    row, self._home, [Operation(*one) for one in db.execute(query, [row["key"]])]
                )
                for row in rows
            ]

    def decide(self, corrections: Sequence[Correction]) -> dict[Status, int]:
        """Note on the cases of rows what people decided; later corrections count over earlier ones.

        A correction that says which text was reviewed is held against the reference of the case: if
        that is another one, nothing is noted.

        Args:
            corrections: `text` makes a case corrected, `keep` confirmed, `drop` dropped; a `trim`
                changes no text and is left out.

        Returns:
            How many cases got each status.

        Raises:
            UserError: as `add`; there is no such file.
        """
        if not self.path.exists():
            raise self._missing()
        counts: dict[Status, int] = {}
        statuses: dict[str, Status] = {
            "text": "corrected",
            "keep": "confirmed",
            "drop": "dropped",
        }
        with self._writing() as db:
            for one in corrections:
                if one.action not in statuses:
                    continue
                status = statuses[one.action]
                done = db.execute(
                    "update cases set status = ?, correction = ?, who = ?, why = ?,"
                    " changed_at = strftime('%Y-%m-%dT%H:%M:%SZ', 'now')"
                    " where row = ? and (? is null or reference is null or reference = ?)",
                    (status, one.text, one.who, one.why, one.id, one.old_text, one.old_text),
                )
                if done.rowcount:
                    counts[status] = counts.get(status, 0) + done.rowcount
        return counts

    def count_kinds(self, chosen: Chosen = Chosen()) -> dict[str, dict[Kind, int]]:
        """How many errors of each kind there are, by domain; errors as in `find`."""
        where, values = chosen.where()
        counts: dict[str, dict[Kind, int]] = {}
        with self._reading() as db:
            for domain, kind, count in db.execute(
                "select domain, kind, count(*) from operations join cases using (key)"
                f" where {where}"
                " group by domain, kind order by domain",
                values,
            ):
                counts.setdefault(domain, {})[cast(Kind, kind)] = count
        return counts

    def count_kinds_of(self, rows: Collection[str]) -> dict[Kind, int]:
        """How many errors of each kind there are in some rows, by their ids; as `find`."""
        counts: Counter[Kind] = Counter()
        with self._reading() as db:
            for row, kind in db.execute("select row, kind from operations join cases using (key)"):
                counts[kind] += row in rows
        return {kind: counts[kind] for kind in KINDS if counts[kind]}

    def count_statuses(self, chosen: Chosen = Chosen()) -> dict[Status, int]:
        """How many cases have each status; errors as in `find`."""
        where, values = chosen.where()
        with self._reading() as db:
            return dict(
                db.execute(
                    f"select status, count(*) from cases where {where} group by status", values
                ).fetchall()
            )

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        if not self.path.exists():
            raise self._missing()
        with self._open() as db:
            db.row_factory = sqlite3.Row
            yield db

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._open() as db:
            db.execute("begin immediate")
            yield db
            db.execute("commit")

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        """An open file of the present version; what a failed block wrote is rolled back."""
        db: sqlite3.Connection | None = None
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            db = sqlite3.connect(self.path, timeout=PATIENCE, isolation_level=None)
            db.execute("pragma journal_mode = wal")
            db.execute("pragma synchronous = full")
            db.execute("pragma foreign_keys = on")
            self._migrate(db)
            yield db
        except sqlite3.Error as error:
            raise UserError(f"{self.path}: {_told(error)}") from error
        finally:
            if db is not None:
                db.close()

    def _migrate(self, db: sqlite3.Connection) -> None:
        if _version(db) == len(MIGRATIONS):
            return
        db.execute("begin immediate")
        version = _version(db)  # another process may have been first
        if version > len(MIGRATIONS):
            raise UserError(
                f"{self.path}: written by a later asr-gate (version {version} of the file, this "
                f"one knows {len(MIGRATIONS)}); update asr-gate"
            )
        if version == 0 and db.execute("select count(*) from sqlite_master").fetchone()[0]:
            raise UserError(f"{self.path}: an SQLite file of something else; name another file")
        for script in MIGRATIONS[version:]:
            for statement in filter(str.strip, script.split(";")):
                db.execute(statement)
        db.execute(f"pragma user_version = {len(MIGRATIONS)}")
        db.execute("commit")

    def _missing(self) -> UserError:
        return UserError(f"{self.path}: no such file; make one with: asr cases add RESULT")


def _version(db: sqlite3.Connection) -> int:
    return cast(int, db.execute("pragma user_version").fetchone()[0])


def _told(error: sqlite3.Error) -> str:
    if "locked" in str(error):
        return f"another process has been writing to it for {PATIENCE:g} s; try again"
    if "not a database" in str(error) or "malformed" in str(error):
        return f"not a file of cases ({error}); name another file, or restore this one"
    return f"cannot be read or written ({error})"


def _to_row(case: Case, home: Path) -> list[Any]:
    values = {name: getattr(case, name) for name in _COLUMNS}
    audio = case.audio and relative_to(case.audio, home)
    return list((values | {"audio": audio, "codes": json.dumps(case.codes)}).values())


def _to_case(row: sqlite3.Row, home: Path, errors: Sequence[Operation]) -> Case:
    values = {name: row[name] for name in _COLUMNS if name != "key"}
    audio = row["audio"] and str(home / row["audio"])
    codes = tuple(json.loads(row["codes"]))
    return Case(**values | {"audio": audio, "codes": codes, "operations": tuple(errors)})
