"""Parts: what was measured so far, on disk, so that others can go on with it.

A part holds utterances that one process measured within a few seconds, of whichever shards. It is
one JSON file with a name of its own, written beside its place and renamed into it: it is there as a
whole or not at all, and no process ever writes over what another one wrote. Two parts that hold the
same utterance say the same of it. `plan.json` names the audit that they belong to, and each part
names the plan.

Whoever can write parts can write the verdict. So they lie in a private folder of the user, outside
of the reports: nothing that a repository brings along is ever resumed from. Only processes that
share an audit (`--shard`) have it beside the report, where all of them find it, and it must be
private there as well.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Container, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from copy import copy
from pathlib import Path
from typing import Any

from asr_gate.audit.engine.keys import processors
from asr_gate.audit.engine.shards import Share
from asr_gate.audit.engine.stored import from_json, to_json
from asr_gate.audit.records.measured import Measured
from asr_gate.audit.report.destination import SHARDS
from asr_gate.corpus.digests import digest_of
from asr_gate.corpus.errors import UserError
from asr_gate.corpus.files import RECORD_LIMIT, held, make_private, state_home, write_atomically
from asr_gate.corpus.strict import read_json

NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)
"""What file systems without locks say."""


@contextmanager
def only_one(folder: Path) -> Iterator[None]:
    """Hold the folder of an audit, so that no two audits write into one.

    Raises:
        UserError: another audit holds it.
    """
    with ExitStack() as stack:
        try:
            stack.enter_context(held(folder))
        except BlockingIOError as error:
            raise UserError(
                f"{folder}: another audit is writing here; wait for it, or choose another --name"
            ) from error
        except OSError as error:
            if error.errno not in NO_LOCKS:
                raise
        yield


class Parts:
    """The parts of one audit."""

    def __init__(self, folder: Path, *, shared: bool = False) -> None:
        """Nothing is made yet.

        Args:
            folder: of the audit's report; its path decides where the parts lie.
            shared: whether several processes write them, into the folder itself.

        Raises:
            UserError: the user has no home folder for them.
        """
        if shared:
            self.folder = folder / SHARDS
        else:
            try:
                home = state_home()
            except RuntimeError as error:
                raise UserError(f"no place for an audit in progress: {error}") from error
            resolved = str(folder.resolve())
            digest = hashlib.sha256(resolved.encode(errors="surrogateescape")).hexdigest()
            self.folder = home / "audits" / f"{folder.name}-{digest[:16]}"
        self._shared = shared
        self._digest = ""
        """Of the plan, once it is known."""
        self.kinds: set[tuple[str, ...]] = set()
        """The kinds of processors that measured what was read."""

    def part(self, name: str) -> Parts:
        """Those of a part of the audit, in a folder within: they go when these are removed."""
        found = copy(self)
        found.folder = self.folder / name
        return found

    @property
    def unfinished(self) -> float | None:
        """When an audit began that is not finished, in seconds since 1970; None: there is none."""
        try:
            return self._plan.stat().st_mtime
        except OSError:
            return None

    @property
    def _plan(self) -> Path:
        return self.folder / "plan.json"

    def begin(self, key: Mapping[str, Any], *, resume: bool) -> int:
        """Start or go on; returns how many parts are there already.

        Args:
            key: what decides the measurements; parts of another key are never mixed in.
            resume: whether to go on with parts that are there.

        Raises:
            UserError: parts are there and `resume` is false, they belong to another audit, or
                somebody else could write them.
        """
        try:
            make_private(self.folder)
        except OSError as error:
            elsewhere = "" if self._shared else ", or set XDG_STATE_HOME to a folder of your own"
            raise UserError(
                f"{self.folder}: cannot hold an audit in progress ({error.strerror}); make it "
                f"yours alone (chmod 700){elsewhere}"
            ) from error
        self._digest = digest_of(key)
        there = len(self._files())
        if there and not resume:
            raise UserError(
                f"{self.folder}: holds {there} parts of an unfinished audit; go on with "
                "--resume, start anew by removing that folder, or choose another --name"
            )
        if there or (self._shared and self._plan.exists()):
            self._require(key)
        else:  # of several that begin at once, each writes the same
            write_atomically(self._plan, json.dumps(key, indent=1, sort_keys=True).encode())
        return there

    def _require(self, key: Mapping[str, Any]) -> None:
        earlier = self._read_plan()
        changed = [name for name in key if earlier.get(name) != key[name]]
        if changed:
            raise UserError(
                f"{self.folder}: belongs to an audit with another {', '.join(changed)}; "
                "go on with the same, or start anew by removing that folder"
            )

    def shares(self) -> int:
        """How many processes share the audit, by its plan.

        Raises:
            UserError: there is no such plan.
        """
        found = self._read_plan().get("shares") if self._plan.exists() else None
        if not isinstance(found, int) or found < 1:
            raise UserError(
                f"{self.folder}: holds nothing to merge; run the audit with --shard 1/4, 2/4, … "
                "first, and with the same --out and --name"
            )
        return found

    def _read_plan(self) -> dict[str, Any]:
        try:
            plan = read_json(self._plan, RECORD_LIMIT)
        except (OSError, ValueError):
            plan = None
        if not isinstance(plan, dict):
            raise UserError(
                f"{self._plan}: missing or damaged: what the parts belong to is not known; "
                "start anew by removing that folder"
            )
        return plan

    def read(self, ids: Container[str]) -> dict[str, Measured]:
        """The rows of all parts by their ids.

        A part that is damaged, or that another plan made, counts as not there.

        Args:
            ids: the utterances that may be there.
        """
        found: dict[str, Measured] = {}
        for path in self._files():
            try:
                part = read_json(path, RECORD_LIMIT)
                if part["plan"] != self._digest:
                    continue
                kind = tuple(map(str, part["processors"]))
                measured = [from_json(row) for row in part["rows"]]
            except (ValueError, TypeError, KeyError, AttributeError):
                continue
            self.kinds.add(kind)
            found |= {row.id: row for row in measured if row.id in ids}
        return found

    def write(self, rows: Sequence[Measured]) -> None:
        """Keep rows as one more part."""
        part = {"plan": self._digest, "processors": processors(), "rows": rows}
        content = json.dumps(part, default=to_json, ensure_ascii=False)
        write_atomically(self.folder / f"part-{secrets.token_hex(8)}.json", content.encode())

    @contextmanager
    def claimed(self, share: Share) -> Iterator[None]:
        """Hold a share, so that no two processes measure it at a time; their end lets go of it.

        Where the file system has no locks, both measure the same: that takes time, and no more.

        Raises:
            UserError: another process holds it.
        """
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        opened = os.open(self.folder / f"share-{share.number}-of-{share.of}.lock", flags, 0o600)
        try:
            try:
                fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise UserError(
                    f"--shard {share}: another process measures it in {self.folder}; wait for it"
                ) from error
            except OSError as error:
                if error.errno not in NO_LOCKS:
                    raise
            yield
        finally:
            os.close(opened)

    def remove(self) -> None:
        """Remove all parts: their report is written."""
        # The plan goes last, without which parts that are left could not be resumed.
        for path in self._files():
            path.unlink()
        shutil.rmtree(self.folder)

    def _files(self) -> list[Path]:
        return sorted(self.folder.glob("part-*.json"))
