"""Where an audit writes: a folder on disk, of which the finished report may go into a store.

Everything is written on disk first, in a private folder of the user that the URL decides, so that
an audit is resumed as always. `alignment_report.json` is uploaded last: whoever reads before that
finds tables that are not of the report there, and no verdict.
"""

from __future__ import annotations

import contextlib
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from asr_gate.audit.records.report import REPORT_FILE
from asr_gate.audit.report.history import BESIDE, HISTORY
from asr_gate.corpus import mirror, storage
from asr_gate.corpus.digests import digest_of
from asr_gate.corpus.errors import UserError
from asr_gate.corpus.files import RECORD_LIMIT, make_private, state_home
from asr_gate.corpus.objects import local_copy
from asr_gate.corpus.storage import StorageError
from asr_gate.corpus.strict import read_json

WRITABLE = ("s3", "gs")
SHARDS = "shards"
"""Folder of the parts of an audit that several processes share, beside its report."""
MOST_PARTS = 1_000_000


@dataclass(frozen=True)
class Destination:
    """The folder of one audit."""

    folder: Path
    """On disk."""
    url: str | None = None
    """Where the report goes; None: it stays on disk."""

    def upload(self) -> None:
        """Put the report into the store, the one before it into its history, and leave none here.

        Raises:
            UserError: the store does not take it; it stays on disk.
        """
        if self.url is None:
            return
        storage.forget()
        try:
            written = [one for one in self._files() if one != REPORT_FILE]
            stale = self._keep_earlier() - {*written, REPORT_FILE}
            for name in [*written, REPORT_FILE]:
                storage.write(storage.joined(self.url, name), self.folder / name)
            for name in stale:
                storage.remove(storage.joined(self.url, name))
        except (OSError, StorageError) as error:
            reason = mirror.named(str(error))
            mirror.stands_for_itself(self.folder.parent)
            raise UserError(
                f"{reason}; the report is finished and lies in {self.folder}: copy that folder to "
                f"{self.url}"
            ) from error
        shutil.rmtree(self.folder)

    def upload_shards(self) -> None:
        """Put what a share measured where `--merge` looks for it; it stays here, too.

        Raises:
            UserError: the store does not take it.
        """
        if self.url is None:
            return
        try:
            for path in sorted((self.folder / SHARDS).glob("*.json")):
                storage.write(storage.joined(self.url, f"{SHARDS}/{path.name}"), path)
        except StorageError as error:
            mirror.stands_for_itself(self.folder.parent)
            raise UserError(
                f"{error}; what is measured lies in {self.folder / SHARDS}: run the same command "
                "again, which measures nothing anew"
            ) from error

    def fetch_shards(self) -> None:
        """Put what all shares measured into the folder.

        Raises:
            StorageError: the store cannot be read.
        """
        if self.url is None:
            return
        folder = self.folder / SHARDS
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        storage.forget()
        with contextlib.suppress(FileNotFoundError):  # what is missing, the audit says
            for name, url in storage.listed(f"{self.url}/{SHARDS}", MOST_PARTS).items():
                if url is not None and name.endswith(".json"):
                    with local_copy(url) as path:
                        shutil.copyfile(path, folder / name)

    def _files(self) -> list[str]:
        """What was written, by its path from the folder."""
        found = sorted(one for one in self.folder.rglob("*") if one.is_file())
        names = [str(one.relative_to(self.folder)) for one in found]
        return [name for name in names if not name.startswith((f"{SHARDS}/", f"{HISTORY}/"))]

    def _keep_earlier(self) -> set[str]:
        """Copy a report that is there into the history; the names of what belongs to it."""
        assert self.url is not None
        try:
            with local_copy(storage.joined(self.url, REPORT_FILE)) as path:
                earlier = path.read_bytes()
                if earlier == (self.folder / REPORT_FILE).read_bytes():
                    return set()
                made = datetime.fromisoformat(read_json(path, RECORD_LIMIT)["created_at"])
        except FileNotFoundError:
            return set()
        except (ValueError, KeyError, TypeError):  # not a report: nothing to keep
            return set()
        there = {name for name in BESIDE if self._has(name)}
        when = made.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
        # If an upload was killed, the tables beside the earlier report may be new ones by now.
        if not self._has(f"{HISTORY}/{when}/{REPORT_FILE}"):
            for name in [*sorted(there), REPORT_FILE]:
                kept = storage.joined(self.url, f"{HISTORY}/{when}/{name}")
                storage.copy(storage.joined(self.url, name), kept)
        return there

    def _has(self, name: str) -> bool:
        assert self.url is not None
        try:
            storage.look(storage.joined(self.url, name))
        except FileNotFoundError:
            return False
        return True


def destination(out: Path, name: str) -> Destination:
    """Where an audit is written.

    Args:
        out: folder of all audits, or its URL.
        name: of the audit.

    Raises:
        UserError: no report is written there, or the store does not answer.
    """
    url = storage.url_of(out)
    if url is None:
        return Destination(out / name)
    if url.partition("://")[0] not in WRITABLE:
        known = ", ".join(f"{one}://" for one in WRITABLE)
        raise UserError(
            f"{url}: reports are written to disk, {known}; name such a place with --out"
        )
    # What is wrong with the store is told before anything is measured.
    storage.forget()
    storage.require_bucket(url)
    try:
        home = state_home() / "reports" / digest_of(url)[:16]
        make_private(home)
    except (OSError, RuntimeError) as error:
        raise UserError(
            f"no place for the report of {url} before it is uploaded ({error}); set XDG_STATE_HOME "
            "to a folder of your own"
        ) from error
    mirror.stands_for(home, url)
    return Destination(home / name, storage.joined(url, name))
