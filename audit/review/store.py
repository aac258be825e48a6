"""`review.jsonl` while verdicts are given: each is on the disk before anybody is told so."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from threading import Lock

from asr_gate.audit.review.verdicts import REVIEW_FILE, Verdict, parse_verdict, read_verdicts
from asr_gate.corpus.errors import UserError


class ReviewFile:
    """The verdicts about one audit, appended one by one; held until it is closed."""

    def __init__(self, folder: Path, report: str) -> None:
        """Open it, or make it; half a line that a crash left at its end is taken off.

        Args:
            folder: of the audit.
            report: digest of the audit; verdicts about others stay in the file.

        Raises:
            UserError: another process holds it, or it cannot be written or read.
        """
        self.path = folder / REVIEW_FILE
        self._lock = Lock()
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        try:
            self._file = os.open(self.path, flags, 0o666)
        except OSError as error:
            raise UserError(
                f"{self.path}: cannot be written ({error.strerror}); copy the report's folder to "
                "where you may write"
            ) from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _take_off_half_a_line(self._file)
            self.verdicts = [one for one in read_verdicts(self.path) if one.report == report]
        except BlockingIOError as error:
            os.close(self._file)
            raise UserError(
                f"{self.path}: another asr review writes it; end that one first"
            ) from error
        except BaseException:
            os.close(self._file)
            raise
        self.given = 0
        """Verdicts since it was opened."""

    def add(self, one: Verdict) -> None:
        """Append a verdict, and wait until it is on the disk.

        Raises:
            OSError: it could not be written; the file is as before.
        """
        line = one.line()
        with self._lock:
            size = os.fstat(self._file).st_size
            try:
                left = memoryview(line)
                while left:
                    left = left[os.write(self._file, left) :]
                os.fsync(self._file)
            except OSError:
                os.ftruncate(self._file, size)
                raise
            self.verdicts.append(one)
            self.given += 1

    def close(self) -> None:
        """Let go of it; one without a verdict is removed."""
        if not os.fstat(self._file).st_size:
            self.path.unlink(missing_ok=True)
        os.close(self._file)


def _take_off_half_a_line(file: int) -> None:
    """End the last line, or take it off where a crash left a part of one."""
    size = os.fstat(file).st_size
    content = os.pread(file, size, 0)
    if not content or content.endswith(b"\n"):
        return
    last = content.rfind(b"\n") + 1
    try:
        parse_verdict(content[last:])
        os.write(file, b"\n")
    except ValueError:
        os.ftruncate(file, last)
