"""Shards: what was measured so far, on disk, so that an interrupted audit can go on.

A shard holds the utterances that were measured within a few seconds, whichever they are. Each is
one JSON file, written beside its place and renamed into it, so that it is there as a whole or not
at all. `plan.json` names the audit that the shards belong to.

Whoever can write shards can write the verdict. So they lie in a private folder of the user, outside
of the reports: nothing that a repository brings along is ever resumed from.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Container, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from copy import copy
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from asr_gate.audit.engine.stored import from_json, to_json
from asr_gate.audit.records.measured import Measured
from asr_gate.corpus.errors import UserError
from asr_gate.corpus.files import RECORD_LIMIT, held, make_private, state_home, write_atomically
from asr_gate.corpus.strict import read_json

MEASURING = (
    "audit/acoustic",
    "audit/align",
    "audit/controls",
    "audit/engine",
    "audit/pairing",
    "audit/records",
    "corpus/speech",
    "corpus/text",
    "embedded",
)
"""Packages whose code decides what is measured."""

LIBRARIES = (
    "numba",
    "numpy",
    "onnxruntime",
    "rapidfuzz",
    "soundfile",
    "soxr",
    "tantivy",
    "torch",
    "torchaudio",
    "transformers",
    "uroman",
)
"""Libraries whose version may change what is measured, where they are installed."""


@cache
def code_version() -> dict[str, str]:
    """What measures: a digest of its code, and the versions of the libraries below it.

    A version number that somebody must remember to move would let old measurements pass for new.
    """
    digest = hashlib.sha256()
    for package in MEASURING:
        for name, content in _sources(files("asr_gate").joinpath(*package.split("/")), package):
            digest.update(f"{name}\0{len(content)}\0".encode())
            digest.update(content)
    return {"code": digest.hexdigest()} | {name: _version(name) for name in LIBRARIES}


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "none"


def _sources(folder: Traversable, name: str) -> Iterator[tuple[str, bytes]]:
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if entry.is_dir():
            yield from _sources(entry, f"{name}/{entry.name}")
        elif entry.name.endswith(".py"):
            yield f"{name}/{entry.name}", entry.read_bytes()


@contextmanager
def only_one(folder: Path) -> Iterator[None]:
    """Hold the folder of an audit, so that no two audits write into one.

    Raises:
        UserError: another audit holds it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        try:
            stack.enter_context(held(folder))
        except BlockingIOError as error:
            raise UserError(
                f"{folder}: another audit is writing here; wait for it, or choose another --name"
            ) from error
        yield


class Shards:
    """The shards of one audit."""

    def __init__(self, folder: Path) -> None:
        """Nothing is made yet.

        Args:
            folder: of the audit's report; its path decides where the shards lie.

        Raises:
            UserError: the user has no home folder for them.
        """
        try:
            home = state_home()
        except RuntimeError as error:
            raise UserError(f"no place for an audit in progress: {error}") from error
        resolved = str(folder.resolve())
        digest = hashlib.sha256(resolved.encode(errors="surrogateescape")).hexdigest()
        self.folder = home / "audits" / f"{folder.name}-{digest[:16]}"
        self._plan = self.folder / "plan.json"
        self._number = 0
        """Of the next shard."""

    def part(self, name: str) -> Shards:
        """Those of a part of the audit, in a folder within: they go when these are removed."""
        found = copy(self)
        found.folder = self.folder / name
        found._plan = found.folder / self._plan.name
        found._number = 0
        return found

    @property
    def unfinished(self) -> float | None:
        """When an audit began that is not finished, in seconds since 1970; None: there is none."""
        try:
            return self._plan.stat().st_mtime
        except OSError:
            return None

    def begin(self, key: Mapping[str, Any], *, resume: bool) -> int:
        """Start or go on; returns how many shards are there already.

        Args:
            key: what decides the measurements; shards of another key are never mixed in.
            resume: whether to go on with shards that are there.

        Raises:
            UserError: shards are there and `resume` is false, they belong to another audit, or
                somebody else could write them.
        """
        try:
            make_private(self.folder)
        except OSError as error:
            raise UserError(
                f"{self.folder}: cannot hold an audit in progress ({error.strerror}); remove it, "
                "or set XDG_STATE_HOME to a folder of your own"
            ) from error
        there = len(list(self.folder.glob("shard-*.json")))
        if there:
            if not resume:
                raise UserError(
                    f"{self.folder}: holds {there} shards of an unfinished audit; go on with "
                    "--resume, start anew by removing that folder, or choose another --name"
                )
            earlier = self._read_plan()
            changed = [name for name in key if earlier.get(name) != key[name]]
            if changed:
                raise UserError(
                    f"{self.folder}: belongs to an audit with another {', '.join(changed)}; "
                    "go on with the same, or start anew by removing that folder"
                )
            return there
        write_atomically(self._plan, json.dumps(key, indent=1, sort_keys=True).encode())
        return 0

    def _read_plan(self) -> dict[str, Any]:
        try:
            plan = read_json(self._plan, RECORD_LIMIT)
        except (OSError, ValueError):
            plan = None
        if not isinstance(plan, dict):
            raise UserError(
                f"{self._plan}: missing or damaged: what the shards belong to is not known; "
                "start anew by removing that folder"
            )
        return plan

    def read(self, ids: Container[str]) -> dict[str, Measured]:
        """The rows of all shards by their ids; a shard that is damaged counts as not there.

        Args:
            ids: the utterances that may be there.
        """
        found: dict[str, Measured] = {}
        for path in sorted(self.folder.glob("shard-*.json")):
            # Never over one that is there: it may hold what another shard does not.
            self._number = int(path.stem.removeprefix("shard-")) + 1
            try:
                rows = read_json(path, RECORD_LIMIT)
                measured = [from_json(row) for row in rows]
            except (ValueError, TypeError, KeyError, AttributeError):
                continue
            found |= {row.id: row for row in measured if row.id in ids}
        return found

    def write(self, rows: Sequence[Measured]) -> None:
        """Keep rows as one more shard."""
        content = json.dumps(rows, default=to_json, ensure_ascii=False)
        write_atomically(self.folder / f"shard-{self._number:05d}.json", content.encode())
        self._number += 1

    def remove(self) -> None:
        """Remove all shards: their report is written."""
        # The plan goes last, without which shards that are left could not be resumed.
        for path in self.folder.glob("shard-*.json"):
            path.unlink()
        shutil.rmtree(self.folder)
