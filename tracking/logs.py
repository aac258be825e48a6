"""Local logs: JSON lines in a file, and plain lines for the terminal."""

from __future__ import annotations

import logging
import logging.handlers
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

FILE = "log.jsonl"


@contextmanager
def logs(
    name: str,
    folder: Path | None,
    *,
    say: Callable[[str], None],
    console: str = "info",
    file: str = "debug",
    files: int = 5,
    megabytes: float = 20.0,
) -> Iterator[logging.Logger]:
    """The logger of a package; inside the block it writes to a file and to the terminal.

    Each line of the file is an object with `time` (UTC), `level`, `message` and the fields of
    `extra`. It also has what the package's modules log with loggers of their own.

    Args:
        name: of the package, such as `train`.
        folder: where `log.jsonl` is, to which lines are added; None: no file.
        say: takes a plain line.
        console: lowest level on the terminal.
        file: lowest level in the file.
        files: number of files kept, 2 or more; older ones are `log.jsonl.1`, …
        megabytes: size at which a new file is begun.

    Raises:
        OSError: the file cannot be made.
    """
    logger = logging.getLogger(name)
    before = logger.level, logger.propagate
    handlers: list[logging.Handler] = [_PlainLines(say)]
    handlers[0].setLevel(console.upper())
    if folder is not None:
        handlers.append(_json_lines(folder / FILE, file, files, megabytes, say))
    for handler in handlers:
        logger.addHandler(handler)
    logger.setLevel(min(handler.level for handler in handlers))
    logger.propagate = False
    try:
        yield logger
    finally:
        for handler in handlers:
            logger.removeHandler(handler)
            handler.close()
        logger.setLevel(before[0])
        logger.propagate = before[1]


def _json_lines(
    path: Path, level: str, files: int, megabytes: float, say: Callable[[str], None]
) -> logging.Handler:
    from pythonjsonlogger.json import JsonFormatter

    class Formatter(JsonFormatter):
        def process_log_record(self, log_data: dict[str, Any]) -> dict[str, Any]:
            """Write NaN and infinity as text: JSON has no numbers for them."""
            return {
                key: str(value) if isinstance(value, float) and not math.isfinite(value) else value
                for key, value in log_data.items()
            }

    handler = _LogFile(path, say, round(megabytes * 1e6), files - 1)
    handler.setFormatter(
        Formatter(
            ["levelname", "message"],
            rename_fields={"levelname": "level"},
            timestamp="time",
            json_ensure_ascii=False,
        )
    )
    handler.setLevel(level.upper())
    return handler


class _LogFile(logging.handlers.RotatingFileHandler):
    """A file whose disk may be full: one line says so, and the work goes on."""

    def __init__(self, path: Path, say: Callable[[str], None], size: int, older: int) -> None:
        # A path that is not valid UTF-8 must not cost the line.
        super().__init__(
            path, maxBytes=size, backupCount=older, encoding="utf-8", errors="backslashreplace"
        )
        self._say = say
        self._broken = False

    def handleError(self, record: logging.LogRecord) -> None:
        """Warn once; the library would print a traceback for each line."""
        self._warn_once()

    def close(self) -> None:
        """Close the file; writing its last lines may fail, too."""
        try:
            super().close()
        except OSError:
            self._warn_once()

    def _warn_once(self) -> None:
        if not self._broken:
            self._broken = True
            self._say(
                f"warning: {self.baseFilename} cannot be written; the log has a gap from here"
            )


class _PlainLines(logging.Handler):
    """Passes on each line; warnings and errors begin with their level."""

    def __init__(self, say: Callable[[str], None]) -> None:
        super().__init__()
        self._say = say

    def emit(self, record: logging.LogRecord) -> None:
        """Pass on one record."""
        lead = f"{record.levelname.lower()}: " if record.levelno >= logging.WARNING else ""
        self._say(lead + record.getMessage())
